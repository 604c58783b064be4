"""Two schemas that hold for the same value, as one. Pure.

Both are as ``words.read`` gives them, without references and alternatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vllama.translate.schemas.words import TYPES, Note, key_of

_HIGHER: Final = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_LOWER: Final = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")


def merged(one: Mapping[str, Any], other: Mapping[str, Any], note: Note) -> dict[str, Any] | None:
    """What both allow, or None where they allow nothing in common."""
    whole = {**one}
    for key, value in other.items():
        whole[key] = _both(key, one[key], value, note) if key in one else value
    if whole.get("type") == () or whole.get("enum") == []:
        return None
    return whole


def _both(key: str, one: Any, other: Any, note: Note) -> Any:
    if key in _HIGHER:
        return max(one, other)
    if key in _LOWER:
        return min(one, other)
    if key == "type":
        return common_types(one, other)
    if key == "enum":
        allowed = {key_of(value) for value in other}
        return [value for value in one if key_of(value) in allowed]
    if key == "required":
        return list(dict.fromkeys([*one, *other]))
    if key in ("properties", "patternProperties"):
        return {**one, **{name: _all(one[name], member) if name in one else member for name, member in other.items()}}
    if key == "prefixItems":
        longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
        return [_all(item, shorter[place]) if place < len(shorter) else item for place, item in enumerate(longer)]
    if key in ("items", "additionalProperties", "propertyNames"):
        return _all(one, other)
    if key == "nullable":
        return True
    if one != other:  # two patterns, two formats: a grammar follows one
        note(key)
    return one


def common_types(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Each integer is a number."""
    return tuple(
        name
        for name in TYPES
        if (name in one or (name == "integer" and "number" in one))
        and (name in other or (name == "integer" and "number" in other))
        and not (name == "integer" and "number" in one and "number" in other)
    )


def _all(one: Any, other: Any) -> Any:
    """A schema for a value that must satisfy both."""
    if one is False or other is False:
        return False
    if one is True or one == other:
        return other
    if other is True:
        return one
    parts: list[Any] = []
    for part in (*_conjuncts(one), *_conjuncts(other)):
        if part not in parts:
            parts.append(part)
    return parts[0] if len(parts) == 1 else {"allOf": parts}


def _conjuncts(schema: Any) -> list[Any]:
    """The parts of what ``_all`` made, so that it never grows where schemas refer to each other."""
    return list(schema["allOf"]) if isinstance(schema, Mapping) and set(schema) == {"allOf"} else [schema]
