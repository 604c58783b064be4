"""The functions that templates may call: Go's own, and the few that Ollama adds. Pure.

``and`` and ``or`` are not here: they don't evaluate all their arguments (``evaluate``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

from vllama.translate.gotemplate.comparing import CallError, equal, less
from vllama.translate.gotemplate.limits import Budget
from vllama.translate.gotemplate.printf import sprintf
from vllama.translate.gotemplate.printing import NO_VALUE, to_json, verb_v
from vllama.translate.gotemplate.values import Struct, Value, truth, type_name

_ALL: Final = 1_000_000
_HTML: Final = str.maketrans(
    {"<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "&": "&amp;", "\0": "\ufffd"}
)  # fmt: skip
_JS: Final = {
    "\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D",
}  # fmt: skip


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


def _len(value: Value) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
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


def _index(item: Value, *indexes: Value) -> Value:
    if item is None:
        raise CallError("index of untyped nil")
    for index in indexes:
        item = _element(item, index)
    return item


def _element(item: Value, index: Value) -> Value:
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
        data = item.encode("utf-8", "replace") if isinstance(item, str) else item
        if at == len(data):
            raise CallError(f"reflect: {'string' if isinstance(item, str) else 'slice'} index out of range")
        if not 0 <= at < len(data):
            raise CallError(f"index out of range: {at}")
        return data[at]
    raise CallError(f"can't index item of type {type_name(item)}")


def _slice(context: Context, item: Value, *indexes: Value) -> Value:
    if item is None:
        raise CallError("slice of untyped nil")
    if len(indexes) > 3:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if isinstance(item, str):
        if len(indexes) == 3:
            raise CallError("cannot 3-index slice a string")
        data: Any = item.encode("utf-8", "replace")
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
    part = data[bounds[0] : bounds[1]]
    context.budget.step(len(part) // 256)
    if isinstance(part, bytes):
        context.budget.text(len(part))
        return part.decode("utf-8", "replace")
    return part


def _print(context: Context, *values: Value) -> str:
    """``fmt.Sprint``: a space between two operands that are both no strings."""
    out: list[str] = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            out.append(" ")
        out.append(verb_v(value, context.budget))
    return _made(context, "".join(out))


def _println(context: Context, *values: Value) -> str:
    return _made(context, " ".join(verb_v(value, context.budget) for value in values) + "\n")


def _printf(context: Context, form: str, *values: Value) -> str:
    return sprintf(form, values, context.budget)


def _json(context: Context, value: Value) -> str:
    return to_json(value, context.budget)


def _text(context: Context, values: tuple[Value, ...]) -> str:
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return _print(context, *(NO_VALUE if value is None else value for value in values))


def _html(context: Context, *values: Value) -> str:
    return _made(context, _text(context, values).translate(_HTML))


def _js(context: Context, *values: Value) -> str:
    out = []
    for char in _text(context, values):
        if char in _JS:
            out.append(_JS[char])
        elif char < " " or not (char.isascii() or char.isprintable()):
            out.append(f"\\u{ord(char):04X}")
        else:
            out.append(char)
    return _made(context, "".join(out))


def _urlquery(context: Context, *values: Value) -> str:
    return _made(context, quote_plus(_text(context, values), safe="~"))


def _made(context: Context, text: str) -> str:
    context.budget.text(len(text))
    return text


def _call(function: Value, *_: Value) -> Value:
    raise CallError("call of nil" if function is None else f"non-function of type {type_name(function)}")


_TYPESCRIPT: Final = {
    "string": "string", "number": "number", "integer": "number", "boolean": "boolean", "array": "any[]",
    "object": "Record<string, any>", "null": "null",
}  # fmt: skip


def _typescript(value: Value) -> str:
    """The TypeScript type of a tool's property."""
    if not isinstance(value, Struct):
        return "any"
    if alternatives := value.fields.get("AnyOf"):
        return " | ".join(_typescript(alternative) for alternative in alternatives)
    return " | ".join(_TYPESCRIPT.get(name, "any") for name in value.fields.get("Type") or ()) or "any"


FUNCTIONS: Final[Mapping[str, Function]] = {
    "call": Function(_call, 1, None),
    "eq": Function(equal, 1, None),
    "ge": Function(lambda a, b: not less(a, b), 2, 2),
    "gt": Function(lambda a, b: not less(a, b) and not equal(a, b), 2, 2),
    "html": Function(_html, 0, None, in_context=True),
    "index": Function(_index, 1, None),
    "js": Function(_js, 0, None, in_context=True),
    "le": Function(lambda a, b: less(a, b) or equal(a, b), 2, 2),
    "len": Function(_len, 1, 1),
    "lt": Function(less, 2, 2),
    "ne": Function(lambda a, b: not equal(a, b), 2, 2),
    "not": Function(lambda value: not truth(value), 1, 1),
    "print": Function(_print, 0, None, in_context=True),
    "printf": Function(_printf, 1, None, in_context=True, texts=1),
    "println": Function(_println, 0, None, in_context=True),
    "slice": Function(_slice, 1, None, in_context=True),
    "urlquery": Function(_urlquery, 0, None, in_context=True),
    # Ollama's
    "json": Function(_json, 1, 1, in_context=True),
    "currentDate": Function(lambda context, *_: context.days.today, 0, None, in_context=True, texts=_ALL),
    "yesterdayDate": Function(lambda context, *_: context.days.yesterday, 0, None, in_context=True, texts=_ALL),
    "toTypeScriptType": Function(_typescript, 1, 1),
}

NAMES: Final = frozenset({*FUNCTIONS, "and", "or"})
