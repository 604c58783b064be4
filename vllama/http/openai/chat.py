"""OpenAI's chat completions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from vllama.http.checks import checked_chat
from vllama.http.dialects import fresh_id
from vllama.http.front import front_of
from vllama.http.serving import Order, serve_call
from vllama.translate.openai.replies import ChatStream, ReplyHead, chat_answer, chat_streams, rendered_answer
from vllama.translate.openai.requests import ChatCompletionRequest
from vllama.translate.pieces import Ending
from vllama.translate.whole import EMPTY, Whole


@dataclass(frozen=True, slots=True)
class ChatReply:
    """``serving.Reply``."""

    head: ReplyHead
    asked: ChatCompletionRequest

    whole_type = "application/json"
    stream_type = "text/event-stream"

    def writers(self) -> Sequence[ChatStream]:
        """One for each choice."""
        return chat_streams(self.head, include_usage=self.asked.include_usage, choices=self.asked.choices)

    def whole(self, answers: Sequence[Whole]) -> bytes:
        """All choices."""
        return chat_answer(self.head, answers)

    def loaded(self) -> bytes:
        """A choice without content."""
        if not self.asked.stream:
            return chat_answer(self.head, [EMPTY], reason="load")
        (writer,) = chat_streams(self.head, include_usage=self.asked.include_usage)
        return writer.finish(Ending("stop"), reason="load")

    def rendered(self, info: Mapping[str, Any]) -> bytes:
        """The rendered prompt in the place of a choice."""
        return rendered_answer(self.head, info)


async def chat_completions(request: web.Request, asked: ChatCompletionRequest) -> web.StreamResponse:
    """Continue a conversation. Messages without any part say nothing: then the model is only loaded."""
    model, call = checked_chat(front_of(request), asked.model, asked.call)
    order = Order(
        model,
        (call,) if call.messages else (),
        stream=asked.stream,
        count=asked.choices,
        parallel_calls=asked.parallel_calls,
        render_only=asked.render_only,
    )
    head = ReplyHead(fresh_id("chatcmpl-"), int(time.time()), asked.model)
    return await serve_call(request, order, ChatReply(head, asked))
