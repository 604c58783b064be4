"""What a turn says, for tests that look for lost words."""

from __future__ import annotations

import json

from vllama.translate.pieces import Message


def words_of(message: Message) -> str:
    """All texts of a turn, with a boundary between them."""
    arguments = json.dumps([call.arguments for call in message.tool_calls], ensure_ascii=False)
    return f"{message.content}\n{message.thinking}\n{arguments}"
