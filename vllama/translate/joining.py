"""Joins turns of one role: texts by a blank line, everything else in its order. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import Final

from vllama.translate.pieces import Message

IMAGE_MARK: Final = "[img]"
"""Where in a text an image belongs; images without one stand before the text."""


def joined(first: Message, second: Message) -> Message:
    """One turn of two; it keeps the first one's role, and the id of its call if it is a result."""
    if first.images or second.images:
        first, second = _marked(first), _marked(second)
    return replace(
        first,
        content=_paragraphs(first.content, second.content),
        thinking=_paragraphs(first.thinking, second.thinking),
        images=first.images + second.images,
        tool_calls=first.tool_calls + second.tool_calls,
    )


def joined_all(messages: Iterable[Message]) -> Message:
    """One turn of all; there is at least one."""
    return reduce(joined, messages)


def _paragraphs(first: str, second: str) -> str:
    return "\n\n".join(text for text in (first, second) if text)


def _marked(message: Message) -> Message:
    """Each image with a mark of its own, so that it stays where it stands when another text comes before."""
    missing = len(message.images) - message.content.count(IMAGE_MARK)
    return replace(message, content=IMAGE_MARK * missing + message.content) if missing > 0 else message
