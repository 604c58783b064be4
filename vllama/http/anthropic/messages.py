"""Anthropic's messages and the count of their tokens (contract 7)."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from vllama.answering.choices import open_choices
from vllama.answering.debugging import rendered_prompt
from vllama.answering.leasing import answered
from vllama.answering.prompt_tokens import conversation_tokens
from vllama.http.dialects import fresh_id, model_for_chat, not_to_be_cached, reading, without_thinking_where_it_cannot
from vllama.http.front import desk_of
from vllama.http.sse import write_events
from vllama.models.model import Model
from vllama.supervisor.port import Lease, Wish
from vllama.translate.anthropic.replies import MessageStream, message_answer
from vllama.translate.anthropic.requests import MessagesRequest, read_messages
from vllama.translate.engine.requests import conversation, for_model
from vllama.translate.jsontext import encode
from vllama.translate.whole import EMPTY

_JSON = {"Content-Type": "application/json"}
_OTHER_REASON = "stop_sequence"


async def messages(request: web.Request, asked: MessagesRequest) -> web.StreamResponse:
    """Continue a conversation."""
    if asked.stream:
        not_to_be_cached(request)
    call = without_thinking_where_it_cannot(request, asked.model, asked.call)
    model = model_for_chat(request, asked.model, call)
    message_id = fresh_id("msg_")
    if not call.messages:
        return await _load(request, model, asked, message_id)
    if asked.render_only:
        told = {"_debug_info": await rendered_prompt(desk_of(request, model), model, call)}
        return web.Response(body=encode(told) + b"\n", headers=_JSON)
    async with open_choices(desk_of(request, model), Wish(model), call, parallel_calls=asked.parallel_calls) as choices:
        if asked.stream:
            writer = MessageStream(
                message_id, asked.model, input_estimate=asked.input_estimate, request_id=fresh_id("req_")
            )
            return await write_events(request, choices, [writer])
        (whole,) = await choices.gather()
        return web.Response(body=message_answer(message_id, asked.model, whole), headers={**_JSON, **choices.headers})


async def _load(request: web.Request, model: Model, asked: MessagesRequest, message_id: str) -> web.Response:
    """Messages that say nothing load the model; Ollama gives the reason that it keeps for all it has no word for."""
    async with desk_of(request, model).engines.lease(Wish(model)):
        if not asked.stream:
            body = message_answer(message_id, asked.model, EMPTY, reason=_OTHER_REASON)
            return web.Response(body=body, headers=_JSON)
        writer = MessageStream(message_id, asked.model, input_estimate=0, request_id=fresh_id("req_"))
        events = writer.start() + writer.finish(EMPTY.final, reason=_OTHER_REASON)
        return web.Response(body=events, headers={"Content-Type": "text/event-stream"})


async def count_tokens(request: web.Request, asked: MessagesRequest) -> web.Response:
    """How many prompt tokens a message would take, counted by the engine."""
    call = without_thinking_where_it_cannot(request, asked.model, asked.call)
    model = model_for_chat(request, asked.model, call)
    if not call.messages:  # then a message only loads the model
        return web.Response(body=encode({"input_tokens": 0}) + b"\n", headers=_JSON)
    desk, call = desk_of(request, model), for_model(call, model)

    async def ask(lease: Lease) -> list[int]:
        return await conversation_tokens(lease, desk, model, call, conversation(model, call.messages))

    tokens = await answered(desk, Wish(model), ask)
    return web.Response(body=encode({"input_tokens": len(tokens)}) + b"\n", headers=_JSON)


routes = [
    web.post("/v1/messages", reading(read_messages, messages)),
    web.post("/v1/messages/count_tokens", reading(partial(read_messages, counting=True), count_tokens)),
]
