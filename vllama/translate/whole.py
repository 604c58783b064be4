"""A complete answer, gathered from its pieces: what a client gets that did not ask for a stream. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vllama.translate.pieces import Ending, Piece, Step, ToolCall


@dataclass(frozen=True, slots=True)
class Whole:
    """All pieces of one answer and its end."""

    content: str
    thinking: str
    tool_calls: tuple[ToolCall, ...]
    logprobs: tuple[dict[str, Any], ...]
    answer_logprobs: tuple[dict[str, Any], ...]
    """Those of the answer's text alone, without the thinking."""
    final: Ending


EMPTY = Whole("", "", (), (), (), Ending("stop"))
"""What a request without input gets: the model was loaded, nothing was generated."""


def gather(pieces: Iterable[Piece], final: Ending) -> Whole:
    """Join ``pieces`` in their order."""
    content: list[str] = []
    thinking: list[str] = []
    calls: list[ToolCall] = []
    logprobs: list[dict[str, Any]] = []
    answer_logprobs: list[dict[str, Any]] = []
    for piece in pieces:
        content.append(piece.content)
        thinking.append(piece.thinking)
        calls.extend(piece.tool_calls)
        if piece.logprobs:
            logprobs.extend(piece.logprobs)
            if not piece.thinking:
                answer_logprobs.extend(piece.logprobs)
    return Whole("".join(content), "".join(thinking), tuple(calls), tuple(logprobs), tuple(answer_logprobs), final)


def first_call_only(steps: Iterable[Step]) -> list[Step]:
    """The steps without any call but the first: what ``parallel_tool_calls: false`` asks for."""
    return [
        Piece(step.content, step.thinking, tuple(c for c in step.tool_calls if c.index == 0), step.logprobs)
        if isinstance(step, Piece) and step.tool_calls
        else step
        for step in steps
    ]
