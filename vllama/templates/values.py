"""What templates are run over, and what Go thinks of it: truth, type names, fields. Pure.

Go's ``nil`` is None, a slice is a list or tuple, a map a dict, a struct a ``Struct``; bool, int, float and str are
themselves. A missing key of a map gives None, which prints as ``<no value>`` (Ollama's ``missingkey=zero``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Value: TypeAlias = Any


class JsonMap(dict[str, Any]):
    """A map that prints as JSON (Ollama's arguments of a call, properties of a tool)."""


class JsonList(list[Any]):
    """A list that prints as JSON (Ollama's ``.Tools``)."""


class OneOrMore(list[str]):
    """Words that print bare when there is one of them (Ollama's types of a property)."""


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct. ``json`` is what marshalling it gives, when that is not its fields by their names."""

    go_type: str
    fields: Mapping[str, Value]
    json: Mapping[str, Any] | None = None
    prints_json: bool = False
    """It has a String method that marshals it."""


class _Missing:
    """The result of a pipeline that has none yet."""

    __slots__ = ()


MISSING: Final = _Missing()

_TYPES: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    float: "float64",
    str: "string",
    list: "[]interface {}",
    tuple: "[]interface {}",
    dict: "map[string]interface {}",
    JsonMap: "map[string]interface {}",
    JsonList: "[]interface {}",
    OneOrMore: "api.PropertyType",
}


def type_name(value: Value) -> str:
    """Go's ``%T``."""
    if value is None:
        return "<nil>"
    if isinstance(value, Struct):
        return value.go_type
    return _TYPES.get(type(value), "interface {}")


def truth(value: Value) -> bool:
    """Go templates' truth: empty, zero and nil are false, a struct is true."""
    return True if isinstance(value, Struct) else bool(value)


FunctionValue: TypeAlias = Callable[..., Value]
