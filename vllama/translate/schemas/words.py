"""The keywords of a JSON schema as its author meant them. Pure.

Schemas are written by hand and by libraries, after several drafts of the standard, OpenAPI, Go and PHP. ``read`` makes
one form of all of them, in which every value has the type that the standard gives it; what means nothing is absent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

Note = Callable[[str], None]
"""Takes the name of a keyword that isn't enforced."""

TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")
_OTHER_NAMES: Final = {
    "int": "integer", "long": "integer", "int32": "integer", "int64": "integer", "float": "number", "double": "number",
    "decimal": "number", "bool": "boolean", "str": "string", "text": "string", "dict": "object", "map": "object",
    "struct": "object", "list": "array", "tuple": "array", "none": "null", "nil": "null",
}  # fmt: skip
_TIMES: Final = {
    "date": "date",
    "time": "time",
    "datetime": "date-time",
    "date-time": "date-time",
    "timestamp": "date-time",
}
_ANY: Final = frozenset({"any", "mixed", "unknown", ""})
UNENFORCED: Final = (
    "multipleOf", "uniqueItems", "contains", "minContains", "maxContains", "dependentRequired", "dependentSchemas",
    "dependencies", "if", "not", "$dynamicRef", "$recursiveRef", "disallow", "extends",
)  # fmt: skip
"""What no grammar holds."""
COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
LISTS: Final = ("allOf", "anyOf", "oneOf")
_LARGEST_COUNT: Final = 100_000
"""Characters or items: no answer has more."""
_LARGEST_NUMBER: Final = 2**63 - 1
"""What the grammar's integers hold."""


def read(schema: Mapping[str, Any], note: Note) -> dict[str, Any]:
    """The keywords that say what a value is, each with a value of its standard type.

    ``type`` is a tuple of names; ``const`` has become an ``enum`` of one; draft 4's exclusive bounds are the numbers.
    """
    found: dict[str, Any] = {}
    given = {key: value for key, value in schema.items() if value is not None or key == "const"}
    _values(given, found, note)
    _types(given, found, note)
    _numbers(given, found, note)
    _texts(given, found, note)
    _members(given, found, note)
    _items(given, found, note)
    for key in LISTS:
        branches = given.get(key)
        branches = [branches] if isinstance(branches, Mapping) else branches
        if isinstance(branches, list) and branches:
            found[key] = branches
    if isinstance(given.get("$ref"), str):
        found["$ref"] = given["$ref"]
    for key in UNENFORCED:
        if key in given and not _says_nothing(key, given):
            note(key)
    return found


def key_of(value: Any) -> bytes:
    """Equal for values that JSON holds equal."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return repr(value).encode() if isinstance(value, int) and not isinstance(value, bool) else _canonical(value)


def _canonical(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # an integer beyond 64 bits somewhere in it, half a surrogate pair
        return repr(value).encode()


def _says_nothing(key: str, given: Mapping[str, Any]) -> bool:
    value = given[key]
    if key == "if":
        return "then" not in given and "else" not in given
    if key in ("minContains", "maxContains"):
        return "contains" not in given
    if key == "multipleOf":
        return value == 1 and given.get("type") == "integer"
    return value is False or (value in ([], {}) and key not in ("not", "contains"))


def _values(given: Mapping[str, Any], found: dict[str, Any], note: Note) -> None:
    if "const" in given and (given["const"] is not None or "enum" not in given):
        found["enum"] = [given["const"]]
    values = given.get("enum")
    if isinstance(values, list) and values:
        found["enum"] = [value for value in values if "enum" not in found or key_of(value) == key_of(found["enum"][0])]
    elif "enum" in given:
        note("enum")


def _types(given: Mapping[str, Any], found: dict[str, Any], note: Note) -> None:
    wanted = given.get("type")
    names = wanted if isinstance(wanted, list) else [wanted] if "type" in given else []
    types: list[str] = []
    for name in names:
        lowered = name.strip().lower() if isinstance(name, str) else "null" if name is None else ""
        if lowered in _TIMES:
            types.append("string")
            found.setdefault("format", _TIMES[lowered])
        elif isinstance(name, Mapping):  # draft 3: a schema among the types
            found.setdefault("anyOf", []).append(name)
        elif lowered in _ANY and (isinstance(name, str) or name is None):
            types.extend(TYPES)
        elif (known := _OTHER_NAMES.get(lowered, lowered)) in TYPES:
            types.append(known)
        else:
            note("type")
            types.extend(TYPES)
    if given.get("nullable") is True:
        found["nullable"] = True
    if types and not set(TYPES) <= set(types):
        found["type"] = tuple(dict.fromkeys(types))


def _numbers(given: Mapping[str, Any], found: dict[str, Any], note: Note) -> None:
    for key in COUNTS:
        if key not in given:
            continue
        count = number_of(given[key])
        if count is None or (count < 0 and key.startswith("max")):
            note(key)
        elif key.startswith("max"):
            if count <= _LARGEST_COUNT:
                found[key] = math.floor(count)
        elif count > _LARGEST_COUNT:
            note(key)
        elif count > 0:
            found[key] = math.ceil(count)
    for key in BOUNDS:
        value = given.get(key)
        if value is None or isinstance(value, bool):
            continue
        bound = number_of(value)
        if bound is None or abs(bound) > _LARGEST_NUMBER:
            note(key)
        else:
            found[key] = bound
    for plain, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if given.get(exclusive) is True and plain in found:
            found[exclusive] = found.pop(plain)


def number_of(value: Any) -> int | float | None:
    """A number, also one that was written as a text."""
    if isinstance(value, str):
        try:
            value = float(value) if len(value) < 40 else math.nan
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _texts(given: Mapping[str, Any], found: dict[str, Any], note: Note) -> None:
    for key in ("pattern", "format"):
        if key not in given:
            continue
        if isinstance(given[key], str):
            found[key] = given[key]
        else:
            note(key)


def _members(given: Mapping[str, Any], found: dict[str, Any], note: Note) -> None:
    for key in ("properties", "patternProperties"):
        members = given.get(key)
        if isinstance(members, Mapping):
            found[key] = dict(members)
        elif members == []:  # PHP writes an empty map like this
            found[key] = {}
        elif key in given:
            note(key)
    required = given.get("required")
    if isinstance(required, list):
        found["required"] = list(dict.fromkeys(name for name in required if isinstance(name, str)))
    elif isinstance(required, str):
        found["required"] = [required]
    elif "required" in given and not isinstance(required, bool) and required != {}:
        note("required")
    themselves = [name for name, member in found.get("properties", {}).items() if _requires_itself(member)]
    if themselves:
        found["required"] = list(dict.fromkeys([*found.get("required", ()), *themselves]))
    more = given.get("additionalProperties", given.get("unevaluatedProperties"))
    if isinstance(more, (bool, Mapping)):
        found["additionalProperties"] = more
    elif more == []:
        found["additionalProperties"] = True
    elif more is not None:
        note("additionalProperties")
    if isinstance(names := given.get("propertyNames"), Mapping) and names:
        found["propertyNames"] = dict(names)
    elif names is False:
        note("propertyNames")


def _requires_itself(schema: Any) -> bool:
    """Draft 3 and many a hand write ``required: true`` in the member."""
    return isinstance(schema, Mapping) and schema.get("required") is True


def _items(given: Mapping[str, Any], found: dict[str, Any], note: Note) -> None:
    items, first = given.get("items", given.get("unevaluatedItems")), given.get("prefixItems")
    if isinstance(items, list):  # tuples before draft 2020-12
        first = first or items
        items = given.get("additionalItems")
        if first and items is None:
            items = True
    if isinstance(first, list) and first:
        found["prefixItems"] = first
    elif first is not None and first != []:
        note("prefixItems")
    if isinstance(items, (bool, Mapping)):
        found["items"] = items
    elif items is not None:
        note("items")
