"""Which turns of a long conversation go, so that the rest fits the context. Pure.

The oldest messages go first, one by one; system messages and the last message always stay. A result of a tool whose
call is gone goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from vllama.translate.pieces import Message

# No tokenizer makes longer tokens out of real text on average: what is longer can't fit and isn't even counted.
_MAX_BYTES_PER_TOKEN: Final = 64
_LEAST_ROOM: Final = 1


def droppable(messages: Sequence[Message]) -> int:
    """How many messages may go."""
    return sum(message.role != "system" for message in messages[:-1])


def without_oldest(messages: Sequence[Message], count: int) -> tuple[Message, ...]:
    """The conversation without its ``count`` oldest messages that may go."""
    kept: list[Message] = []
    left = count
    last = len(messages) - 1
    orphans = False  # the call is gone, so its results make no sense
    for place, message in enumerate(messages):
        if place == last or message.role == "system":
            kept.append(message)
        elif left:
            left -= 1
            orphans = bool(message.tool_calls) or (orphans and message.role == "tool")
        elif orphans and message.role == "tool":
            continue
        else:
            orphans = False
            kept.append(message)
    return tuple(kept)


def cut_middle(ids: Sequence[int], keep: int, context_length: int) -> list[int]:
    """A prompt too long by itself: its first ``keep`` and its newest tokens; half of the context is left free."""
    half = max(context_length // 2, 1)
    keep = min(max(keep, 0), half - 1)
    return [*ids[:keep], *ids[len(ids) - (half - keep) :]]


def room_for_answer(wanted: int, context_length: int) -> int:
    """Tokens to leave free once turns have to go anyway: what is wanted, at most a quarter of the context."""
    return max(_LEAST_ROOM, min(wanted, context_length // 4))


def hopeless(text_bytes: int, context_length: int) -> bool:
    """Is this so much text that counting its tokens would only cost memory?"""
    return text_bytes > longest_text(context_length)


def longest_text(context_length: int) -> int:
    """Characters beyond which no text fits a context."""
    return (context_length + 256) * _MAX_BYTES_PER_TOKEN


def text_bytes(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> int:
    """Bytes of text in a conversation, images not counted."""
    total = sum(len(m.content) + len(m.thinking) for m in messages)
    total += sum(len(orjson.dumps(call.arguments)) for m in messages for call in m.tool_calls)
    return total + (len(orjson.dumps(tools)) if tools else 0)
