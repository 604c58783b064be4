"""Anthropic's messages as turns of ours. Pure.

A message is a list of blocks; a result of a tool is a turn of its own. In a user's message the results come first, for
they answer the turn before it. In an assistant's message a result of a tool that a server ran stands behind its call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vllama.errors import BadRequest
from vllama.translate.anthropic.blocks import picture, pictures, words
from vllama.translate.arguments import arguments_of
from vllama.translate.passages import joined, without_billing
from vllama.translate.pieces import Message, ToolCall

Block = Mapping[str, Any]


def turns(given: Sequence[tuple[str, Sequence[Block]]]) -> tuple[Message, ...]:
    """The turns of all messages, each a role and its blocks; raises BadRequest. An empty message is no turn."""
    out: list[Message] = []
    names: dict[str, str] = {}
    for role, blocks in given:
        out.extend(_turns(role.lower(), blocks, names))
    return tuple(out)


def _turns(role: str, blocks: Sequence[Block], names: dict[str, str]) -> list[Message]:
    """The turns of one message; ``names`` learns the calls' names."""
    said: list[Message] = []
    results: list[Message] = []
    part = _Turn(role)
    for block in blocks:
        if not block["type"].endswith("tool_result"):
            part.add(block, names)
        elif role == "assistant":
            said += [*part.message(), _result(block, names)]
            part = _Turn(role)
        else:
            results.append(_result(block, names))
    return [*results, *said, *part.message()]


class _Turn:
    """Blocks that become one message."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._images: list[str] = []
        self._calls: list[ToolCall] = []

    def add(self, block: Block, names: dict[str, str]) -> None:
        """One block that is no result; of an unknown type its words count."""
        kind = block["type"]
        if kind == "thinking":
            self._thoughts.append(block["thinking"])
        elif kind == "image":
            self._images.append(picture(block))
        elif kind.endswith("tool_use"):
            call = _call(len(self._calls), block)
            names[call.id] = call.name
            self._calls.append(call)
        else:
            said = words(block)
            self._texts.append(without_billing(said) if self._role == "system" else said)

    def message(self) -> list[Message]:
        """The message, if it says anything. The pieces of the model's own answer are put together as it wrote them."""
        text = "".join(self._texts) if self._role == "assistant" else joined(self._texts)
        thinking = joined(self._thoughts)
        if not (text or thinking or self._images or self._calls):
            return []
        return [Message(self._role, text, thinking, tuple(self._images), tuple(self._calls))]


def _call(index: int, block: Block) -> ToolCall:
    for field in ("id", "name"):
        if not block[field] and block["type"] == "tool_use":
            raise BadRequest(f"tool_use block missing required '{field}' field")
    return ToolCall(block["id"], index, block["name"], arguments_of(block["input"]))


def _result(block: Block, names: Mapping[str, str]) -> Message:
    content, call_id = block["content"], block["tool_use_id"]
    return Message(
        "tool",
        words(content) or ("error" if block["is_error"] else ""),
        images=pictures(content),
        tool_name=names.get(call_id, ""),
        tool_call_id=call_id,
    )
