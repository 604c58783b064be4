"""The lines of JSON that a child on an errand writes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from vllama.errors import VllamaError

LONGEST: Final = 4 << 20
"""Bytes of one line."""


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a stage of the task has got."""

    stage: str
    done: int
    total: int
    """In the unit of ``done``; 0: unknown."""


@dataclass(frozen=True, slots=True)
class Result:
    """The task is done. ``value`` is what JSON can hold."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """The task failed for a reason that is known."""

    kind: str
    """An ``error_code``."""
    cause: str
    hint: str = ""
    where: str = ""
    """As in ``VllamaError``."""


ErrandLine: TypeAlias = Advance | Result | Failure


def failure_of(error: VllamaError) -> Failure:
    """One of our errors for another process."""
    return Failure(error.error_code, error.message, error.advice, error.where)


def write(line: ErrandLine) -> bytes:
    """The line with its end. Raises TypeError for a result that JSON can't hold."""
    match line:
        case Advance():
            value: dict[str, Any] = {"stage": line.stage, "done": line.done, "total": line.total}
        case Result():
            value = {"result": line.value}
        case Failure():
            value = {"error": {"kind": line.kind, "cause": line.cause, "hint": line.hint, "where": line.where}}
    return orjson.dumps(value) + b"\n"


def read(data: bytes) -> ErrandLine | None:
    """The opposite of ``write``; None for anything else, such as what a library prints."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    match value:
        case {"stage": str(stage), "done": int(done), "total": int(total)}:
            return Advance(stage, done, total)
        case {"result": result}:
            return Result(result)
        case {"error": {"kind": str(kind), "cause": str(cause), "hint": str(hint), "where": str(where)}}:
            return Failure(kind, cause, hint, where)
        case _:
            return None
