"""Fits a call to an engine: sends the request as it is, and a changed one if the engine refuses that.

Asking the engine for a count of tokens each time would cost every short conversation a round trip. So tokens are
counted (``/tokenize``), and the oldest messages are left out, only after the engine has refused the first request.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Final

from vllama.answering.prepared import Prepared, Preparing
from vllama.answering.prompt_tokens import template_refuses
from vllama.answering.shortening import is_hopeless, shorter_chat, shorter_text
from vllama.errors import EngineRefused
from vllama.translate.conversation import history
from vllama.translate.engine.faults import is_too_long, refused_by_template
from vllama.translate.engine.requests import CHAT_PATH, conversation
from vllama.translate.pieces import ChatCall, TextCall

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fitting:
    """One call on one leased engine."""

    preparing: Preparing
    call: ChatCall | TextCall
    shortened: bool = False
    """It was too long as it came."""

    async def first(self) -> Prepared:
        """The call as it is; shortened at once if it is far too long to be tried."""
        if isinstance(self.call, TextCall):
            return await self._first_text(self.call)
        messages = conversation(self.preparing.model, self.call.messages)
        if is_hopeless(self.preparing, self.call, messages):
            return await self.shorter()
        if self.call.context:
            return await self._first_text(await self.preparing.continued(self.call, messages))
        return await self.preparing.chat(self.call, messages)

    async def _first_text(self, call: TextCall) -> Prepared:
        context = self.preparing.context
        is_text = isinstance(call.prompt, str)
        too_long = history.hopeless(len(call.prompt), context) if is_text else len(call.prompt) >= context
        return await shorter_text(self.preparing, call) if too_long else self.preparing.text(call)

    async def shorter(self) -> Prepared:
        """The call, shortened so that it fits; raises BadRequest if nothing may be left out."""
        if isinstance(self.call, TextCall):
            return await shorter_text(self.preparing, self.call)
        return await shorter_chat(self.preparing, self.call)

    async def instead(self, prepared: Prepared, error: EngineRefused) -> tuple[Fitting, Prepared]:
        """What to send, and the fitting that made it, after the engine refused ``prepared``.

        Raises ``error`` where there is nothing else, BadRequest where the template takes no form of it.
        """
        preparing = self.preparing
        if is_too_long(error) and not self.shortened:
            return replace(self, shortened=True), await self.shorter()
        if prepared.path != CHAT_PATH or not await template_refuses(preparing.lease, prepared.body):
            raise error
        if preparing.plainest:
            raise refused_by_template(error) from error
        name = preparing.model.name.short
        _LOG.warning("%s: the chat template refused a conversation; sent again as plain turns", name)
        plainest = replace(self, preparing=replace(preparing, plainest=True))
        return plainest, await (plainest.shorter() if self.shortened else plainest.first())
