"""The functions that templates may call: Go's own, and the few that Ollama adds. Pure.

``and`` and ``or`` are not here: they don't evaluate all their arguments (``evaluate``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vllama.templates.comparing import CallError, equal, less
from vllama.templates.limits import Budget
from vllama.templates.printf import sprintf
from vllama.templates.printing import to_json, verb_v
from vllama.templates.values import Struct, Value, truth, type_name

_ALL: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Days:
    """What ``currentDate`` and ``yesterdayDate`` say, as ``2006-01-02``."""

    today: str = ""
    yesterday: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What functions may use besides their arguments."""

    budget: Budget
    days: Days


@dataclass(frozen=True, slots=True)
class Function:
    """``least`` and ``most`` arguments; ``most`` None: any number."""

    call: Callable[..., Value]
    least: int
    most: int | None
    in_context: bool = False
    """The first argument is the Context."""
    texts: int = 0
    """So many of the first arguments must be strings."""


def _bytes(context: Context, text: str) -> bytes | str:
    """What has the text's bytes as its elements: itself, where a character is a byte."""
    if text.isascii():
        return text
    context.budget.text(len(text))
    return text.encode("utf-8", "replace")


def _len(context: Context, value: Value) -> int:
    if isinstance(value, str):
        return len(_bytes(context, value))
    if isinstance(value, list | tuple | dict):
        return len(value)
    raise CallError("len of nil pointer" if value is None else f"len of type {type_name(value)}")


def _whole(value: Value) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise CallError(
        "cannot index slice/array with nil"
        if value is None
        else f"cannot index slice/array with type {type_name(value)}"
    )


def _index(context: Context, item: Value, *indexes: Value) -> Value:
    if item is None:
        raise CallError("index of untyped nil")
    for index in indexes:
        item = _element(context, item, index)
    return item


def _element(context: Context, item: Value, index: Value) -> Value:
    if item is None:
        raise CallError("index of untyped nil")
    if isinstance(item, dict):
        if not isinstance(index, str):
            if index is None:
                raise CallError("value is nil; should be of type string")
            raise CallError(f"value has type {type_name(index)}; should be string")
        return item.get(index)
    if isinstance(item, str | list | tuple):
        at = _whole(index)
        data = _bytes(context, item) if isinstance(item, str) else item
        if at == len(data):
            raise CallError(f"reflect: {'string' if isinstance(item, str) else 'slice'} index out of range")
        if not 0 <= at < len(data):
            raise CallError(f"index out of range: {at}")
        return ord(data[at]) if isinstance(data, str) else data[at]
    raise CallError(f"can't index item of type {type_name(item)}")


def _slice(context: Context, item: Value, *indexes: Value) -> Value:
    if item is None:
        raise CallError("slice of untyped nil")
    if len(indexes) > 3:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if isinstance(item, str):
        if len(indexes) == 3:
            raise CallError("cannot 3-index slice a string")
        data: Any = _bytes(context, item)
    elif isinstance(item, list | tuple):
        data = item
    else:
        raise CallError(f"can't slice item of type {type_name(item)}")
    bounds = [0, len(data)]
    for place, index in enumerate(indexes):
        bound = _whole(index)
        if not 0 <= bound <= len(data):
            raise CallError(f"index out of range: {bound}")
        if place < 2:
            bounds[place] = bound
    if bounds[0] > bounds[1]:
        raise CallError(f"invalid slice index: {bounds[0]} > {bounds[1]}")
    taken = bounds[1] - bounds[0]
    if isinstance(item, str):
        context.budget.text(taken)
    else:
        context.budget.step(taken // 256)
    part = data[bounds[0] : bounds[1]]
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else part


def _print(context: Context, *values: Value) -> str:
    """``fmt.Sprint``: a space between two operands that are both no strings."""
    out: list[str] = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            out.append(" ")
        out.append(verb_v(value, context.budget))
    return _joined(context, out, "")


def _println(context: Context, *values: Value) -> str:
    return _joined(context, [verb_v(value, context.budget) for value in values], " ") + "\n"


def _joined(context: Context, parts: Sequence[str], between: str) -> str:
    context.budget.text(sum(map(len, parts)))
    return between.join(parts)


def _printf(context: Context, form: str, *values: Value) -> str:
    return sprintf(form, values, context.budget)


def _json(context: Context, value: Value) -> str:
    return to_json(value, context.budget)


_TYPESCRIPT: Final = {
    "string": "string", "number": "number", "integer": "number", "boolean": "boolean", "array": "any[]",
    "object": "Record<string, any>", "null": "null",
}  # fmt: skip


def _typescript(context: Context, value: Value) -> str:
    """The TypeScript type of a tool's property."""
    if not isinstance(value, Struct):
        return "any"
    context.budget.step()
    if alternatives := value.fields.get("AnyOf"):
        return _joined(context, [_typescript(context, alternative) for alternative in alternatives], " | ")
    kinds = value.fields.get("Type") or ()
    context.budget.step(len(kinds))
    return " | ".join(_TYPESCRIPT.get(name, "any") for name in kinds) or "any"


def _equal(context: Context, first: Value, *others: Value) -> bool:
    return equal(context.budget, first, *others)


def _less(context: Context, first: Value, other: Value) -> bool:
    return less(context.budget, first, other)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "eq": Function(_equal, 1, None, in_context=True),
    "ge": Function(lambda c, a, b: not _less(c, a, b), 2, 2, in_context=True),
    "gt": Function(lambda c, a, b: not _less(c, a, b) and not _equal(c, a, b), 2, 2, in_context=True),
    "index": Function(_index, 1, None, in_context=True),
    "le": Function(lambda c, a, b: _less(c, a, b) or _equal(c, a, b), 2, 2, in_context=True),
    "len": Function(_len, 1, 1, in_context=True),
    "lt": Function(_less, 2, 2, in_context=True),
    "ne": Function(lambda c, a, b: not _equal(c, a, b), 2, 2, in_context=True),
    "not": Function(lambda value: not truth(value), 1, 1),
    "print": Function(_print, 0, None, in_context=True),
    "printf": Function(_printf, 1, None, in_context=True, texts=1),
    "println": Function(_println, 0, None, in_context=True),
    "slice": Function(_slice, 1, None, in_context=True),
    # Ollama's
    "json": Function(_json, 1, 1, in_context=True),
    "currentDate": Function(lambda context, *_: context.days.today, 0, None, in_context=True, texts=_ALL),
    "yesterdayDate": Function(lambda context, *_: context.days.yesterday, 0, None, in_context=True, texts=_ALL),
    "toTypeScriptType": Function(_typescript, 1, 1, in_context=True),
}

NAMES: Final = frozenset({*FUNCTIONS, "and", "or"})
