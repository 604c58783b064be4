"""OpenAI's Responses, stateless."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from vllama.http.checks import checked_chat
from vllama.http.dialects import fresh_id, not_to_be_cached, reading
from vllama.http.front import front_of
from vllama.http.serving import Order, serve_call
from vllama.jsontext import encode
from vllama.translate.pieces import Ending
from vllama.translate.responses.replies import ResponseHead, ResponseStream, response_answer
from vllama.translate.responses.requests import ResponsesRequest, read_responses
from vllama.translate.whole import EMPTY, Whole


@dataclass(frozen=True, slots=True)
class ResponseReply:
    """``serving.Reply``."""

    head: ResponseHead
    stream: bool

    whole_type = "application/json"
    stream_type = "text/event-stream"

    def writers(self) -> Sequence[ResponseStream]:
        """There is one answer to each request."""
        return [ResponseStream(self.head, _now)]

    def whole(self, answers: Sequence[Whole]) -> bytes:
        """One response."""
        (answer,) = answers
        return response_answer(self.head, answer, completed=_now())

    def loaded(self) -> bytes:
        """A response without output."""
        if not self.stream:
            return response_answer(self.head, EMPTY, completed=_now())
        writer = ResponseStream(self.head, _now)
        return writer.start() + writer.finish(Ending("stop"))

    def rendered(self, info: Mapping[str, Any]) -> bytes:
        """The rendered prompt in the place of a response."""
        return encode({"_debug_info": info}) + b"\n"


async def responses(request: web.Request, asked: ResponsesRequest) -> web.StreamResponse:
    """Continue a conversation; without input only load the model."""
    if asked.stream:
        not_to_be_cached(request)
    model, call = checked_chat(front_of(request), asked.echo.model, asked.call)
    order = Order(
        model,
        (call,) if call.messages else (),
        stream=asked.stream,
        parallel_calls=asked.echo.parallel_tool_calls,
        render_only=asked.render_only,
    )
    return await serve_call(request, order, ResponseReply(ResponseHead(fresh_id(""), _now(), asked.echo), asked.stream))


def _now() -> int:
    return int(time.time())


routes = [web.post("/v1/responses", reading(read_responses, responses))]
