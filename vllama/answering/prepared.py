"""Makes the engine's request for a call, and the reader of its answer."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from vllama.answering.desk import Desk
from vllama.answering.prompt_tokens import conversation_tokens
from vllama.answering.rendering import render
from vllama.answering.two_passes import takes_two
from vllama.engine.client import engine_error
from vllama.models.model import Model
from vllama.supervisor.port import Lease
from vllama.translate.conversation.template_shapes import STRICTEST, TemplateShapes
from vllama.translate.engine.requests import CHAT_PATH, TEXT_PATH, chat_body, text_body, thinks, tool_names
from vllama.translate.engine.stream import ChatReader, TextReader
from vllama.translate.engine.thinking import ThinkingSplitter, ends_inside
from vllama.translate.pieces import ChatCall, Message, TextCall
from vllama.translate.prompts.tagged_stream import TaggedReader


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request for the engine and the reader of its answer."""

    path: str
    body: dict[str, Any]
    reader: ChatReader | TextReader
    dropped: int = 0
    """Messages of the history that were left out."""
    cut: int = 0
    """Tokens that were cut out of the middle of the prompt."""
    then: ChatCall | None = None
    """The model only thinks in this request; ``prefilling.prefilled`` answers this call with those thoughts."""


@dataclass(frozen=True, slots=True)
class Preparing:
    """Makes requests for one leased engine."""

    lease: Lease
    desk: Desk
    model: Model
    plainest: bool = False
    """The template refused a conversation in a shape that it should take."""

    @property
    def context(self) -> int:
        """The engine's context in tokens: the prompt and the answer."""
        return self.lease.max_model_len

    @property
    def shapes(self) -> TemplateShapes:
        """The shapes of conversations that the engine's chat template accepts."""
        return STRICTEST if self.plainest else self.lease.shapes

    async def chat(self, call: ChatCall, messages: Sequence[Message], *, dropped: int = 0) -> Prepared:
        """The request of a conversation; with a form and thoughts, only the request of the thoughts."""
        if takes_two(call, messages, self.model):
            thinking = await self.chat(replace(call, format=None, one_pass=True), messages, dropped=dropped)
            return replace(thinking, then=replace(call, messages=tuple(messages)))
        text_call = await self.rendered(call, messages)
        if text_call is not None:
            return self.text(text_call, dropped=dropped)
        body = chat_body(
            call,
            messages,
            self.model,
            self.shapes,
            served_name=self.lease.served_name,
            context_length=self.context,
        )
        reader = ChatReader(
            engine_error,
            thinking=thinks(call, self.model),
            top_logprobs=call.top_logprobs,
            offered=tool_names(call.tools),
        )
        return Prepared(CHAT_PATH, body, reader, dropped=dropped)

    def text(self, call: TextCall, *, dropped: int = 0, cut: int = 0) -> Prepared:
        """The request of a text that is continued as it is."""
        body = text_body(
            call,
            self.model,
            served_name=self.lease.served_name,
            context_length=self.context,
        )
        if call.tags is not None:
            tagged = TaggedReader(engine_error, call.tags, secrets.token_hex(8), top_logprobs=call.top_logprobs)
            return Prepared(TEXT_PATH, body, tagged, dropped=dropped, cut=cut)
        splitter = None
        if call.split_thinking:
            splitter = ThinkingSplitter(inside=ends_inside(call.prompt, self.model.facts.special_tokens))
        reader = TextReader(engine_error, splitter=splitter, top_logprobs=call.top_logprobs)
        return Prepared(TEXT_PATH, body, reader, dropped=dropped, cut=cut)

    async def continued(self, call: ChatCall, messages: Sequence[Message]) -> TextCall:
        """An earlier answer's tokens with the new turn behind them; its thinking has to be recognised here."""
        turn = await self.tokens(call, messages)
        return self.as_text(await self.rendered(call, messages) or call, (*call.context, *turn))

    async def rendered(self, call: ChatCall, messages: Sequence[Message]) -> TextCall | None:
        """The conversation as the model's Go template renders it; None where vLLM applies a chat template."""
        found = await render(self.desk, call, messages, self.model)
        if found is None:
            return None
        text, tags = found
        return replace(self.as_text(call, ()), prompt=text, tags=tags)

    async def tokens(self, call: ChatCall, messages: Sequence[Message]) -> list[int]:
        """Those of a rendered conversation; raises BadRequest."""
        return await conversation_tokens(self.lease, self.desk, self.model, call, messages, shapes=self.shapes)

    def as_text(self, call: ChatCall | TextCall, prompt: Sequence[int]) -> TextCall:
        """The call with this prompt in the place of its own, or of its conversation."""
        return TextCall(
            prompt=tuple(prompt),
            format=call.format,
            checked=call.checked,
            logprobs=call.logprobs,
            top_logprobs=call.top_logprobs,
            truncate=call.truncate,
            shift=call.shift,
            want_token_ids=call.want_token_ids,
            engine_fields=call.engine_fields,
            split_thinking=call.split_thinking if isinstance(call, TextCall) else thinks(call, self.model),
            tags=call.tags if isinstance(call, TextCall) else None,
        )
