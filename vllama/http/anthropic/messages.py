"""Anthropic's messages and the count of their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from aiohttp import web

from vllama.answering.prompt_tokens import count_tokens
from vllama.http.checks import checked_chat
from vllama.http.dialects import fresh_id, not_to_be_cached, reading
from vllama.http.front import desk_of, front_of
from vllama.http.lookup import find_model
from vllama.http.serving import Order, serve_call
from vllama.jsontext import encode
from vllama.models.model import Model
from vllama.translate.anthropic.replies import MessageStream, message_answer
from vllama.translate.anthropic.requests import MessagesRequest, read_messages
from vllama.translate.pieces import ChatCall
from vllama.translate.whole import EMPTY, Whole

_OTHER_REASON: Final = "stop_sequence"
"""Ollama's reason for all that it has no word for; an answer that only loaded the model has it."""


@dataclass(frozen=True, slots=True)
class MessagesReply:
    """``serving.Reply``."""

    id: str
    asked: MessagesRequest

    whole_type = "application/json"
    stream_type = "text/event-stream"

    def writers(self) -> Sequence[MessageStream]:
        """There is one answer to each request."""
        return [self._stream(self.asked.input_estimate)]

    def whole(self, answers: Sequence[Whole]) -> bytes:
        """One message."""
        (answer,) = answers
        return message_answer(self.id, self.asked.model, answer)

    def loaded(self) -> bytes:
        """A message without content."""
        if not self.asked.stream:
            return message_answer(self.id, self.asked.model, EMPTY, reason=_OTHER_REASON)
        writer = self._stream(0)
        return writer.start() + writer.finish(EMPTY.final, reason=_OTHER_REASON)

    def rendered(self, info: Mapping[str, Any]) -> bytes:
        """The rendered prompt in the place of a message."""
        return encode({"_debug_info": info}) + b"\n"

    def _stream(self, input_estimate: int) -> MessageStream:
        return MessageStream(self.id, self.asked.model, input_estimate=input_estimate, request_id=fresh_id("req_"))


async def messages(request: web.Request, asked: MessagesRequest) -> web.StreamResponse:
    """Continue a conversation; one that says nothing only loads the model."""
    if asked.stream:
        not_to_be_cached(request)
    model, call = _checked(request, asked)
    order = Order(
        model,
        (call,) if call.messages else (),
        stream=asked.stream,
        parallel_calls=asked.parallel_calls,
        render_only=asked.render_only,
    )
    return await serve_call(request, order, MessagesReply(fresh_id("msg_"), asked))


async def count(request: web.Request, asked: MessagesRequest) -> web.Response:
    """How many prompt tokens a message would take, counted by the engine."""
    model, call = _checked(request, asked)
    desk = desk_of(request, model)
    # without messages, a message only loads the model
    tokens = await count_tokens(desk, model, call) if call.messages else 0
    return web.Response(body=encode({"input_tokens": tokens}) + b"\n", headers={"Content-Type": "application/json"})


def _checked(request: web.Request, asked: MessagesRequest) -> tuple[Model, ChatCall]:
    """Anthropic's layer in Ollama drops a wish to think that the model can't fulfil, where all others refuse it."""
    front, call = front_of(request), asked.call
    if call.think and asked.model and "thinking" not in find_model(front, asked.model).facts.capabilities:
        call = replace(call, think=None)
    return checked_chat(front, asked.model, call)


routes = [
    web.post("/v1/messages", reading(read_messages, messages)),
    web.post("/v1/messages/count_tokens", reading(partial(read_messages, counting=True), count)),
]
