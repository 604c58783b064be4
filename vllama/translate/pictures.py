"""Pictures in the results of tools, on models that can't see. Pure.

A picture that the user shows is refused there. One that a tool brought is part of the history: a refusal would end the
conversation, so the model gets a note that it is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from vllama.models.model import Model
from vllama.translate.passages import joined
from vllama.translate.pieces import ChatCall, Message

NOT_SEEN: Final = "[a picture that can't be shown here]"


def pictures_of_users(messages: Iterable[Message]) -> int:
    """How many pictures were shown by somebody else than a tool."""
    return sum(len(message.images) for message in messages if message.role != "tool")


def without_unseen(call: ChatCall, model: Model) -> ChatCall:
    """The call with a note in the place of each result's pictures, where the model can't see."""
    if "vision" in model.facts.capabilities or not any(message.images for message in call.messages):
        return call
    return replace(call, messages=tuple(_noted(message) for message in call.messages))


def _noted(message: Message) -> Message:
    if message.role != "tool" or not message.images:
        return message
    return replace(message, content=joined([message.content, *[NOT_SEEN] * len(message.images)]), images=())
