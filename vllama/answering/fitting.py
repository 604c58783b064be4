"""Makes the engine's request of a call, and a shorter one when the engine says that the prompt is too long.

The first request is sent as it is: asking the engine for a count each time would cost every short conversation a
round trip. Only after its refusal tokens are counted (``/tokenize``) and the oldest turns go (contract 3.10).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from vllama.answering.desk import Desk
from vllama.answering.prompt_tokens import conversation_tokens, template_refuses, tokens
from vllama.answering.rendering import render
from vllama.engine.client import engine_error
from vllama.errors import BadRequest, EngineRefused
from vllama.models.model import Model
from vllama.supervisor.port import Lease
from vllama.translate.conversation import history
from vllama.translate.conversation.template_shapes import STRICTEST, TemplateShapes
from vllama.translate.engine.faults import TOO_LONG, exceeds_context, is_too_long, refused_by_template
from vllama.translate.engine.requests import (
    CHAT_PATH,
    TEXT_PATH,
    chat_body,
    conversation,
    text_body,
    text_prompt,
    thinks,
    tool_names,
)
from vllama.translate.engine.stream import ChatReader, TextReader
from vllama.translate.engine.thinking import CLOSE, OPEN, ThinkingSplitter, closed_thinking, ends_inside
from vllama.translate.options import max_tokens
from vllama.translate.pieces import ChatCall, Message, TextCall
from vllama.translate.prompts.tagged_stream import TaggedReader

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request for the engine and the reader of its answer."""

    path: str
    body: dict[str, Any]
    reader: ChatReader | TextReader
    dropped: int = 0
    """Messages of the history that had to go."""
    cut: int = 0
    """Tokens that had to go out of the middle of the prompt."""
    then: ChatCall | None = None
    """The model only thinks in this request; ``Fitting.second`` answers this call with those thoughts."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """One call on one leased engine."""

    lease: Lease
    desk: Desk
    model: Model
    call: ChatCall | TextCall
    shortened: bool = False
    """It was too long as it came."""
    plainest: bool = False
    """The template refused it in a shape that it should take."""

    @property
    def shapes(self) -> TemplateShapes:
        """What the conversation is brought into."""
        return STRICTEST if self.plainest else self.lease.shapes

    async def first(self) -> Prepared:
        """The call as it is; shortened at once when it is far too long even to be tried."""
        if isinstance(self.call, TextCall):
            return await self._first_text(self.call)
        messages = conversation(self.model, self.call.messages)
        if history.hopeless(self._bytes(messages), self.lease.max_model_len):
            return await self.shorter()
        if self.call.context:
            return await self._first_text(await self._continued(self.call, messages))
        return await self._chat(self.call, messages, dropped=0)

    async def _first_text(self, call: TextCall) -> Prepared:
        context = self.lease.max_model_len
        is_text = isinstance(call.prompt, str)
        too_long = history.hopeless(len(call.prompt), context) if is_text else len(call.prompt) >= context
        return await self._shorter_text(call) if too_long else self._text(call)

    async def shorter(self) -> Prepared:
        """What fits, by the call's ``truncate`` and ``shift``; raises BadRequest when nothing may go."""
        if isinstance(self.call, TextCall):
            return await self._shorter_text(self.call)
        return await self._shorter_chat(self.call)

    async def instead(self, prepared: Prepared, error: EngineRefused) -> tuple[Fitting, Prepared]:
        """What to send, and the fitting that made it, after the engine refused ``prepared``.

        Raises ``error`` where there is nothing else, BadRequest where the template takes no form of it.
        """
        if is_too_long(error) and not self.shortened:
            return replace(self, shortened=True), await self.shorter()
        if prepared.path != CHAT_PATH or not await template_refuses(self.lease, prepared.body):
            raise error
        if self.plainest:
            raise refused_by_template(error) from error
        _log.warning("%s: the chat template refused a conversation; sent again as plain turns", self.model.name.short)
        plainest = replace(self, plainest=True)
        return plainest, await (plainest.shorter() if self.shortened else plainest.first())

    async def second(self, call: ChatCall, thoughts: str) -> tuple[Prepared | None, int, int]:
        """The answer in the wanted form after the thoughts, and the tokens of the conversation and of the thoughts.

        No answer when the context has no room for one.
        """
        prompt = await self._tokens(call, call.messages)
        inside = ends_inside(prompt, self.model.facts.special_tokens)
        rest = {"prompt": closed_thinking(thoughts, inside=inside), "add_special_tokens": False}
        closed = await tokens(self.lease, rest)
        answer = None
        if len(prompt) + len(closed) < self.lease.max_model_len:
            answer = self._text(replace(self._as_text(call, (*prompt, *closed)), split_thinking=False))
        return answer, len(prompt), len(closed)

    def _takes_two(self, call: ChatCall, messages: Sequence[Message]) -> bool:
        """Is an answer in a form to come after thinking, which is marked by the usual tags?"""
        if call.one_pass or call.format is None or not thinks(call, self.model):
            return False
        usual = OPEN in self.model.facts.special_tokens and CLOSE in self.model.facts.special_tokens
        return usual and not any(message.images for message in messages)  # pictures have no tokens to go on with

    async def _chat(self, call: ChatCall, messages: Sequence[Message], *, dropped: int) -> Prepared:
        if self._takes_two(call, messages):
            thinking = await self._chat(replace(call, format=None, one_pass=True), messages, dropped=dropped)
            return replace(thinking, then=replace(call, messages=tuple(messages)))
        text_call = await self._rendered(call, messages)
        if text_call is not None:
            return self._text(text_call, dropped=dropped)
        body = chat_body(
            call,
            messages,
            call.checked,
            self.model,
            self.shapes,
            served_name=self.lease.served_name,
            context_length=self.lease.max_model_len,
        )
        reader = ChatReader(
            engine_error,
            thinking=thinks(call, self.model),
            top_logprobs=call.top_logprobs,
            offered=tool_names(call.tools),
        )
        return Prepared(CHAT_PATH, body, reader, dropped=dropped)

    def _text(self, call: TextCall, *, dropped: int = 0, cut: int = 0) -> Prepared:
        body = text_body(
            call,
            call.checked,
            self.model,
            served_name=self.lease.served_name,
            context_length=self.lease.max_model_len,
        )
        if call.tags is not None:
            tagged = TaggedReader(engine_error, call.tags, secrets.token_hex(8), top_logprobs=call.top_logprobs)
            return Prepared(TEXT_PATH, body, tagged, dropped=dropped, cut=cut)
        splitter = None
        if call.split_thinking:
            splitter = ThinkingSplitter(inside=ends_inside(call.prompt, self.model.facts.special_tokens))
        reader = TextReader(engine_error, splitter=splitter, top_logprobs=call.top_logprobs)
        return Prepared(TEXT_PATH, body, reader, dropped=dropped, cut=cut)

    async def _continued(self, call: ChatCall, messages: Sequence[Message]) -> TextCall:
        """An earlier answer's tokens with the new turn behind them; thinking has to be told apart here."""
        turn = await self._tokens(call, messages)
        return self._as_text(await self._rendered(call, messages) or call, (*call.context, *turn))

    async def _rendered(self, call: ChatCall, messages: Sequence[Message]) -> TextCall | None:
        """The conversation as the model's Go template renders it; None where vLLM applies a chat template."""
        found = await render(self.desk, call, messages, self.model)
        if found is None:
            return None
        text, tags = found
        return replace(self._as_text(call, ()), prompt=text, tags=tags)

    async def _tokens(self, call: ChatCall, messages: Sequence[Message]) -> list[int]:
        return await conversation_tokens(self.lease, self.desk, self.model, call, messages, shapes=self.shapes)

    def _as_text(self, call: ChatCall | TextCall, prompt: Sequence[int]) -> TextCall:
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

    async def _shorter_chat(self, call: ChatCall) -> Prepared:
        context = self.lease.max_model_len
        messages = conversation(self.model, call.messages)
        if call.context:
            if history.hopeless(self._bytes(messages), context):
                raise BadRequest(TOO_LONG)
            return await self._shorter_text(await self._continued(call, messages))
        if not call.truncate:
            raise exceeds_context(await self._count(call, messages), context)
        wanted = max_tokens(call.checked, context)
        limit = context - history.room_for_answer(wanted, context)
        least, most = 0, history.droppable(messages)
        while least < most:  # the fewest that must go; each step halves what is left to try
            middle = (least + most) // 2
            if await self._count(call, history.without_oldest(messages, middle)) <= limit:
                most = middle
            else:
                least = middle + 1
        rest = history.without_oldest(messages, least)
        dropped = len(messages) - len(rest)
        if await self._count(call, rest) < context:
            _log.warning(
                "%s: dropped the %d oldest of %d messages, because they don't fit the context of %d tokens",
                self.model.name.short,
                dropped,
                len(messages),
                context,
            )
            return await self._chat(call, rest, dropped=dropped)
        if not call.shift or call.tools or history.hopeless(self._bytes(rest), context):
            raise BadRequest(TOO_LONG)
        ids = await self._tokens(call, rest)
        return self._cut(await self._rendered(call, rest) or call, ids, dropped=dropped)

    async def _shorter_text(self, call: TextCall) -> Prepared:
        context = self.lease.max_model_len
        if not isinstance(call.prompt, str):
            ids = list(call.prompt)
        elif history.hopeless(len(call.prompt), context):
            raise BadRequest(TOO_LONG)
        else:
            ids = await tokens(self.lease, text_prompt(call.prompt))
        if not call.truncate:
            raise exceeds_context(len(ids), context)
        if not call.shift:
            raise BadRequest(TOO_LONG)
        return self._cut(call, ids)

    def _cut(self, call: ChatCall | TextCall, ids: Sequence[int], *, dropped: int = 0) -> Prepared:
        kept = history.cut_middle(ids, call.checked.num_keep, self.lease.max_model_len)
        _log.warning(
            "%s: cut %d of %d tokens out of the prompt, because it doesn't fit the context of %d tokens",
            self.model.name.short,
            len(ids) - len(kept),
            len(ids),
            self.lease.max_model_len,
        )
        return self._text(self._as_text(call, kept), dropped=dropped, cut=len(ids) - len(kept))

    def _bytes(self, messages: Sequence[Message]) -> int:
        tools = self.call.tools if isinstance(self.call, ChatCall) else ()
        return history.text_bytes(messages, tools)

    async def _count(self, call: ChatCall, messages: Sequence[Message]) -> int:
        """Tokens of the rendered conversation; an estimate when it is too long to be worth counting."""
        size = self._bytes(messages)
        if history.hopeless(size, self.lease.max_model_len):
            return size // 4
        return len(await self._tokens(call, messages))
