"""OpenAI's text completions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from vllama.errors import NotFound
from vllama.http.checks import check_generates, check_top_logprobs
from vllama.http.dialects import fresh_id
from vllama.http.front import front_of
from vllama.http.lookup import QUOTED, find_model
from vllama.http.serving import Order, serve_call
from vllama.models.fim import fill_in_the_middle
from vllama.models.model import Model
from vllama.translate.openai.completions_replies import CompletionStream, completion_answer, completion_streams
from vllama.translate.openai.completions_requests import CompletionRequest
from vllama.translate.openai.replies import ReplyHead, rendered_answer
from vllama.translate.options import Options, read_options
from vllama.translate.pieces import ChatCall, Ending, Message, TextCall
from vllama.translate.whole import EMPTY, Whole


@dataclass(frozen=True, slots=True)
class CompletionReply:
    """``serving.Reply``."""

    head: ReplyHead
    asked: CompletionRequest

    whole_type = "application/json"
    stream_type = "text/event-stream"

    def writers(self) -> Sequence[CompletionStream]:
        """One for each choice of each prompt."""
        each = self.asked.choices
        count = each * max(1, len(self.asked.prompts))
        return completion_streams(self.head, include_usage=self.asked.include_usage, choices=count, each=each)

    def whole(self, answers: Sequence[Whole]) -> bytes:
        """All choices."""
        return completion_answer(self.head, answers, each=self.asked.choices)

    def loaded(self) -> bytes:
        """A choice without a text."""
        if not self.asked.stream:
            return completion_answer(self.head, [EMPTY], reason="load")
        return b"".join([writer.finish(Ending("stop"), reason="load") for writer in self.writers()])

    def rendered(self, info: Mapping[str, Any]) -> bytes:
        """The rendered prompt in the place of a choice."""
        return rendered_answer(self.head, info)


async def completions(request: web.Request, asked: CompletionRequest) -> web.StreamResponse:
    """Answer a prompt, inside the model's chat template; an empty one only loads the model."""
    check_top_logprobs(asked.logprobs or 0)
    if not asked.model:
        raise NotFound(QUOTED.format(""))
    model = find_model(front_of(request), asked.model)
    check_generates(asked.model, model, suffix=bool(asked.suffix))
    checked = read_options(asked.options, model.parameters)
    calls = tuple(_call(asked, checked, prompt, model) for prompt in asked.prompts)
    order = Order(model, calls, stream=asked.stream, count=asked.choices)
    head = ReplyHead(fresh_id("cmpl-"), int(time.time()), asked.model)
    return await serve_call(request, order, CompletionReply(head, asked))


def _call(
    asked: CompletionRequest, checked: Options, prompt: str | tuple[int, ...], model: Model
) -> ChatCall | TextCall:
    """A text inside the chat template; tokens as they are, because a client that sends them has applied one."""
    common: dict[str, Any] = {
        "checked": checked,
        "engine_fields": asked.engine_fields,
        "logprobs": asked.logprobs is not None,
        "top_logprobs": asked.logprobs or 0,
    }
    if not isinstance(prompt, str):
        return TextCall(prompt, **common)
    if asked.suffix:
        return TextCall(fill_in_the_middle(prompt, asked.suffix, model.facts.special_tokens), **common)
    return ChatCall((Message("user", prompt),), **common)
