"""Makes a prompt fit the context: leaves out the oldest messages, or cuts tokens out of its middle.

What may be left out, the call's ``truncate`` and ``shift`` say, as in Ollama.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from vllama.answering.prepared import Prepared, Preparing
from vllama.answering.prompt_tokens import tokens
from vllama.errors import BadRequest
from vllama.translate.conversation import history
from vllama.translate.engine.faults import TOO_LONG, exceeds_context
from vllama.translate.engine.requests import conversation, text_prompt
from vllama.translate.options import max_tokens
from vllama.translate.pieces import ChatCall, Message, TextCall

_LOG: Final = logging.getLogger(__name__)


def is_hopeless(preparing: Preparing, call: ChatCall, messages: Sequence[Message]) -> bool:
    """Whether the messages are far too long to be tried."""
    return history.hopeless(history.text_bytes(messages, call.tools), preparing.context)


async def shorter_chat(preparing: Preparing, call: ChatCall) -> Prepared:
    """The conversation without its oldest messages; raises BadRequest when nothing may be left out."""
    messages = conversation(preparing.model, call.messages)
    if call.context:
        if is_hopeless(preparing, call, messages):
            raise BadRequest(TOO_LONG)
        return await shorter_text(preparing, await preparing.continued(call, messages))
    if not call.truncate:
        raise exceeds_context(await _count(preparing, call, messages), preparing.context)
    rest = await _newest(preparing, call, messages)
    dropped = len(messages) - len(rest)
    if await _count(preparing, call, rest) < preparing.context:
        _LOG.warning(
            "%s: dropped the %d oldest of %d messages, because they don't fit the context of %d tokens",
            preparing.model.name.short,
            dropped,
            len(messages),
            preparing.context,
        )
        return await preparing.chat(call, rest, dropped=dropped)
    if not call.shift or call.tools or is_hopeless(preparing, call, rest):
        raise BadRequest(TOO_LONG)
    ids = await preparing.tokens(call, rest)
    return _cut(preparing, await preparing.rendered(call, rest) or call, ids, dropped=dropped)


async def shorter_text(preparing: Preparing, call: TextCall) -> Prepared:
    """The text without a part of its middle; raises BadRequest when nothing may be left out."""
    if not isinstance(call.prompt, str):
        ids = list(call.prompt)
    elif history.hopeless(len(call.prompt), preparing.context):
        raise BadRequest(TOO_LONG)
    else:
        ids = await tokens(preparing.lease, text_prompt(call.prompt))
    if not call.truncate:
        raise exceeds_context(len(ids), preparing.context)
    if not call.shift:
        raise BadRequest(TOO_LONG)
    return _cut(preparing, call, ids)


async def _newest(preparing: Preparing, call: ChatCall, messages: Sequence[Message]) -> Sequence[Message]:
    """What is left when as few as possible are left out, so that an answer has room."""
    wanted = max_tokens(call.checked, preparing.context)
    limit = preparing.context - history.room_for_answer(wanted, preparing.context)
    least, most = 0, history.droppable(messages)
    while least < most:  # each step halves what is left to try
        middle = (least + most) // 2
        if await _count(preparing, call, history.without_oldest(messages, middle)) <= limit:
            most = middle
        else:
            least = middle + 1
    return history.without_oldest(messages, least)


async def _count(preparing: Preparing, call: ChatCall, messages: Sequence[Message]) -> int:
    """Tokens of the rendered conversation; an estimate when it is too long to be worth counting."""
    if is_hopeless(preparing, call, messages):
        return history.text_bytes(messages, call.tools) // 4
    return len(await preparing.tokens(call, messages))


def _cut(preparing: Preparing, call: ChatCall | TextCall, ids: Sequence[int], *, dropped: int = 0) -> Prepared:
    kept = history.cut_middle(ids, call.checked.num_keep, preparing.context)
    _LOG.warning(
        "%s: cut %d of %d tokens out of the prompt, because it doesn't fit the context of %d tokens",
        preparing.model.name.short,
        len(ids) - len(kept),
        len(ids),
        preparing.context,
    )
    return preparing.text(preparing.as_text(call, kept), dropped=dropped, cut=len(ids) - len(kept))
