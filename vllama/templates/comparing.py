"""Go templates' ``eq ne lt le gt ge``: what compares with what. Pure."""

from __future__ import annotations

from typing import Final

from vllama.quoting import excerpt
from vllama.templates.limits import Budget
from vllama.templates.printing import verb_v
from vllama.templates.values import Struct, Value, type_name

_INVALID: Final = "invalid type for comparison"
_BASIC: Final = frozenset({"bool", "int", "float64", "string"})


class CallError(Exception):
    """A function refuses its arguments; the message is Go's."""


def equal(budget: Budget, first: Value, *others: Value) -> bool:
    """Is the first equal to any of the others?"""
    if not others:
        raise CallError("missing argument for comparison")
    return any(_equal(budget, first, other) for other in others)


def _equal(budget: Budget, first: Value, other: Value) -> bool:
    if first is None or other is None:
        return first is other
    kinds = type_name(first), type_name(other)
    if kinds[0] not in _BASIC and kinds[1] not in _BASIC:
        for value, kind in zip((first, other), kinds, strict=True):
            if not isinstance(value, Struct) or any(_is_container(field) for field in value.fields.values()):
                raise CallError(f"non-comparable type {excerpt(verb_v(value, budget))}: {kind}")
    elif kinds[0] != kinds[1]:
        raise CallError(f"incompatible types for comparison: {kinds[0]} and {kinds[1]}")
    _compared(budget, first, other)
    return bool(first == other)


def _compared(budget: Budget, first: Value, other: Value) -> None:
    """Two texts are compared up to where they differ, at most to the end of one."""
    if isinstance(first, str) and isinstance(other, str):
        budget.text(min(len(first), len(other)))


def less(budget: Budget, first: Value, other: Value) -> bool:
    """``lt``"""
    kinds = type_name(first), type_name(other)
    if not _BASIC.issuperset(kinds):
        raise CallError(_INVALID)
    if kinds[0] != kinds[1]:
        raise CallError(f"incompatible types for comparison: {kinds[0]} and {kinds[1]}")
    if kinds[0] == "bool":
        raise CallError(_INVALID)
    _compared(budget, first, other)
    return bool(first < other)


def _is_container(value: Value) -> bool:
    return isinstance(value, list | tuple | dict)
