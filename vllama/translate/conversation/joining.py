"""Joins turns of one role: texts by a blank line, everything else in its order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from vllama.translate.pieces import Message

IMAGE_MARK: Final = "[img]"
"""Where in a text an image belongs; images without one stand before the text."""


def joined(messages: Sequence[Message]) -> Message:
    """One turn of all (there is one at least); it keeps the first one's role, and the id of its call if a result."""
    if len(messages) == 1:
        return messages[0]
    if any(message.images for message in messages):
        messages = [_marked(message) for message in messages]
    return replace(
        messages[0],
        content=_paragraphs(message.content for message in messages),
        thinking=_paragraphs(message.thinking for message in messages),
        images=tuple(image for message in messages for image in message.images),
        tool_calls=tuple(call for message in messages for call in message.tool_calls),
    )


def _paragraphs(texts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, texts))


def _marked(message: Message) -> Message:
    """Each image with a mark of its own, so that it stays where it stands when another text comes before."""
    missing = len(message.images) - message.content.count(IMAGE_MARK)
    return replace(message, content=IMAGE_MARK * missing + message.content) if missing > 0 else message
