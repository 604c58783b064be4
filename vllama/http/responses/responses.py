"""OpenAI's Responses, stateless (contract 6.6)."""

from __future__ import annotations

import time

from aiohttp import web

from vllama.answering.choices import open_choices
from vllama.answering.debugging import rendered_prompt
from vllama.http.dialects import fresh_id, model_for_chat, not_to_be_cached, reading
from vllama.http.front import desk_of
from vllama.http.sse import write_events
from vllama.models.model import Model
from vllama.supervisor.port import Wish
from vllama.translate.jsontext import encode
from vllama.translate.pieces import Ending
from vllama.translate.responses.replies import ResponseHead, ResponseStream, response_answer
from vllama.translate.responses.requests import ResponsesRequest, read_responses
from vllama.translate.whole import EMPTY

_JSON = {"Content-Type": "application/json"}
_STREAM = {"Content-Type": "text/event-stream"}


async def responses(request: web.Request, asked: ResponsesRequest) -> web.StreamResponse:
    """Continue a conversation; without input only load the model."""
    if asked.stream:
        not_to_be_cached(request)
    model = model_for_chat(request, asked.echo.model, asked.call)
    head = ResponseHead(fresh_id(""), _now(), asked.echo)
    if not asked.call.messages:
        return await _load(request, model, asked, head)
    if asked.render_only:
        told = {"_debug_info": await rendered_prompt(desk_of(request, model), model, asked.call)}
        return web.Response(body=encode(told) + b"\n", headers=_JSON)
    async with open_choices(
        desk_of(request, model), Wish(model), asked.call, parallel_calls=asked.echo.parallel_tool_calls
    ) as choices:
        if asked.stream:
            writer = ResponseStream(head, _now)
            return await write_events(request, choices, [writer])
        (whole,) = await choices.gather()
        body = response_answer(head, whole, completed=_now())
        return web.Response(body=body, headers={**_JSON, **choices.headers})


async def _load(request: web.Request, model: Model, asked: ResponsesRequest, head: ResponseHead) -> web.Response:
    async with desk_of(request, model).engines.lease(Wish(model)):
        if not asked.stream:
            return web.Response(body=response_answer(head, EMPTY, completed=_now()), headers=_JSON)
        writer = ResponseStream(head, _now)
        return web.Response(body=writer.start() + writer.finish(Ending("stop")), headers=_STREAM)


def _now() -> int:
    return int(time.time())


routes = [web.post("/v1/responses", reading(read_responses, responses))]
