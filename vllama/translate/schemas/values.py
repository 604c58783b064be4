"""One value's schema in the words that the engine's grammar holds exactly. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from vllama.translate.schemas.patterns import bounded
from vllama.translate.schemas.regexes import for_grammar
from vllama.translate.schemas.words import BOUNDS, Note, key_of

MemberSchema = Callable[[Any], dict[str, Any] | None]
"""Prepares the schema of a member or an item; None: no value is allowed there."""

FORMATS: Final = frozenset({
    "email", "date", "time", "date-time", "duration", "ipv4", "ipv6", "hostname", "uuid", "uri", "uri-reference",
    "uri-template", "json-pointer", "relative-json-pointer",
})  # fmt: skip
_HINTS: Final = {
    "object": (
        "properties",
        "patternProperties",
        "additionalProperties",
        "required",
        "propertyNames",
        "minProperties",
        "maxProperties",
    ),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "number": BOUNDS,
}
_MOST_NAMES: Final = 200
_MOST_COUNTED: Final = 50
"""Members that may be absent, beside a bound of how many there are."""


def values(plain: Mapping[str, Any], member: MemberSchema, note: Note) -> list[dict[str, Any]]:
    """Alternatives, each of one type; none where nothing is allowed.

    ``plain``: as ``words.read`` gives it, without references and alternatives.
    """
    if "enum" in plain:
        return _listed(plain, note)
    types = plain.get("type") or tuple(name for name, words in _HINTS.items() if any(word in plain for word in words))
    if not types:
        return [{}]
    made = [value for name in types if (value := _typed(name, plain, member, note)) is not None]
    if plain.get("nullable") and {"type": "null"} not in made:
        made.append({"type": "null"})
    return made


def _listed(plain: Mapping[str, Any], note: Note) -> list[dict[str, Any]]:
    listed = list({key_of(value): value for value in plain["enum"]}.values())
    types = plain.get("type")
    fitting = [value for value in listed if types is None or set(_types_of(value)) & set(types)]
    if not fitting:
        note("type")
        fitting = listed
    if plain.get("nullable") and None not in fitting:
        fitting.append(None)
    held = [value for value in fitting if _is_held(value)]
    if not held:
        note("enum")
        return [{}]
    if len(held) < len(fitting):
        note("enum")
    return [{"enum": held}]


def _types_of(value: Any) -> tuple[str, ...]:
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, (int, float)):
        return ("number", "integer") if float(value).is_integer() else ("number",)
    return ("string",) if isinstance(value, str) else ("array",) if isinstance(value, list) else ("object",)


def _is_held(value: Any) -> bool:
    """No number beyond what the grammar's reader keeps."""
    if isinstance(value, Mapping):
        return all(map(_is_held, value.values()))
    if isinstance(value, list):
        return all(map(_is_held, value))
    return not isinstance(value, int) or abs(value) < 2**63


def _typed(name: str, plain: Mapping[str, Any], member: MemberSchema, note: Note) -> dict[str, Any] | None:
    if name == "object":
        return _object(plain, member, note)
    if name == "array":
        return _array(plain, member, note)
    if name == "string":
        return _string(plain, note)
    if name in ("number", "integer"):
        return _number(name, plain, note)
    return {"type": name}


def _string(plain: Mapping[str, Any], note: Note) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "string"}
    lengths = _range(plain, "minLength", "maxLength", note)
    pattern = plain.get("pattern")
    if pattern is not None:
        small = bounded(pattern)
        regex = None if small is None else for_grammar(small)
        if regex is None or not regex.whole or small != pattern:
            note("pattern")
        if regex is not None:
            found["pattern"] = regex.text
    if (wanted := plain.get("format")) is not None:
        if "pattern" in found or wanted not in FORMATS:
            note("format")
        else:
            found["format"] = wanted
    if len(found) == 1:
        return {**found, **lengths}
    for key in lengths:
        note(key)
    return found


def _number(name: str, plain: Mapping[str, Any], note: Note) -> dict[str, Any]:
    bounds = {key: plain[key] for key in BOUNDS if key in plain}
    for inclusive, exclusive, closer in (("minimum", "exclusiveMinimum", max), ("maximum", "exclusiveMaximum", min)):
        if inclusive in bounds and exclusive in bounds:
            drop = exclusive if closer(bounds[inclusive], bounds[exclusive]) != bounds[exclusive] else inclusive
            del bounds[drop]
    if name == "integer":
        bounds = _whole(bounds)
    low = bounds.get("minimum", bounds.get("exclusiveMinimum", -math.inf))
    high = bounds.get("maximum", bounds.get("exclusiveMaximum", math.inf))
    if low > high or (low == high and not ("minimum" in bounds and "maximum" in bounds)):
        for key in bounds:
            note(key)
        bounds = {}
    return {"type": name, **bounds}


def _whole(bounds: Mapping[str, Any]) -> dict[str, Any]:
    """The same for integers: no exclusive bounds, no fractions."""
    whole: dict[str, Any] = {}
    if "minimum" in bounds:
        whole["minimum"] = math.ceil(bounds["minimum"])
    elif "exclusiveMinimum" in bounds:
        whole["minimum"] = math.floor(bounds["exclusiveMinimum"]) + 1
    if "maximum" in bounds:
        whole["maximum"] = math.floor(bounds["maximum"])
    elif "exclusiveMaximum" in bounds:
        whole["maximum"] = math.ceil(bounds["exclusiveMaximum"]) - 1
    return whole


def _range(plain: Mapping[str, Any], low: str, high: str, note: Note) -> dict[str, Any]:
    """Two counts that don't contradict each other."""
    found = {key: plain[key] for key in (low, high) if key in plain}
    if len(found) == 2 and found[low] > found[high]:
        note(low)
        note(high)
        return {}
    return found


def _array(plain: Mapping[str, Any], member: MemberSchema, note: Note) -> dict[str, Any] | None:
    counts = _range(plain, "minItems", "maxItems", note)
    first: list[dict[str, Any]] = []
    items = plain.get("items")
    for schema in plain.get("prefixItems", ()):
        made = member(schema)
        if made is None:  # the list ends before it
            items = False
            break
        first.append(made)
    if (most := counts.get("maxItems")) is not None and most <= len(first):
        first, items = first[:most], False
    rest = None if items is False else {} if items is None else member(items)
    least = counts.get("minItems", 0)
    if rest is None:
        if least > len(first):
            note("minItems")
            least = 0
        if not first:
            return {"type": "array", "maxItems": 0}
        return {"type": "array", "prefixItems": first, "items": False, **({"minItems": least} if least else {})}
    found: dict[str, Any] = {"type": "array"}
    if first:
        found["prefixItems"] = first
    if items is not None or counts:  # without items, the grammar's own rule is that there are none
        found["items"] = rest
    return {**found, **counts}


def _object(plain: Mapping[str, Any], member: MemberSchema, note: Note) -> dict[str, Any] | None:
    return _Object(plain, member, note).made()


class _Object:
    """Puts the members of one object together."""

    def __init__(self, plain: Mapping[str, Any], member: MemberSchema, note: Note) -> None:
        self._plain = plain
        self._member = member
        self._note = note
        self._members: dict[str, dict[str, Any]] = {}
        self._patterns: dict[str, dict[str, Any]] = {}
        self._more: bool | dict[str, Any] | None = None
        """What other members are: None where nothing is said."""

    def made(self) -> dict[str, Any]:
        forbidden = self._named()
        self._others()
        self._names()
        required = self._required(forbidden)
        found: dict[str, Any] = {"type": "object"}
        if self._members:
            found["properties"] = self._members
        if required:
            found["required"] = required
        if self._patterns:
            found["patternProperties"] = self._patterns
        counts = self._counts(required)
        if self._more is None and counts and not self._members:
            self._more = True
        if self._more is not None:
            found["additionalProperties"] = self._more
        return {**found, **counts}

    def _named(self) -> set[str]:
        """Prepares ``properties``; returns those that must not be there."""
        forbidden = set()
        for name, schema in self._plain.get("properties", {}).items():
            made = self._member(schema)
            if made is None:
                forbidden.add(name)
            else:
                self._members[name] = made
        return forbidden

    def _others(self) -> None:
        more = self._plain.get("additionalProperties")
        if isinstance(more, Mapping):
            made = self._member(more)
            self._more = False if made is None else made or True
        elif isinstance(more, bool):
            self._more = more
        patterns = self._plain.get("patternProperties")
        if not patterns:
            return
        made_ones = [
            (pattern, made) for pattern, schema in patterns.items() if (made := self._member(schema)) is not None
        ]
        regex = for_grammar(made_ones[0][0]) if len(made_ones) == 1 else None
        if regex is not None and regex.whole and not self._members and not self._more:
            self._patterns = {regex.text: made_ones[0][1]}
            self._more = None
            return
        self._note("patternProperties")
        if self._more is not True and made_ones:
            choices = [made for _, made in made_ones] + ([self._more] if isinstance(self._more, dict) else [])
            self._more = choices[0] if len(choices) == 1 else {"anyOf": choices}

    def _names(self) -> None:
        names = self._plain.get("propertyNames")
        if not names:
            return
        listed = names.get("enum", [names["const"]] if "const" in names else None)
        pattern = names.get("pattern")
        value = self._more if isinstance(self._more, dict) else {}
        alone = not self._members and not self._patterns and self._more is not False
        if alone and isinstance(listed, list) and 0 < len(listed) <= _MOST_NAMES:
            self._members = {name: value for name in listed if isinstance(name, str)}
            self._more = False
            return
        regex = for_grammar(pattern) if isinstance(pattern, str) else None
        if alone and regex is not None and regex.whole and len(names) <= 2:
            self._patterns, self._more = {regex.text: value}, None
            return
        self._note("propertyNames")

    def _required(self, forbidden: set[str]) -> list[str]:
        wanted = list(self._plain.get("required", ()))
        required = []
        for name in wanted:
            if name not in self._members:
                if name in forbidden or self._more is False or self._patterns:
                    self._note("required")
                    continue
                self._members[name] = self._more if isinstance(self._more, dict) else {}
            required.append(name)
        return required

    def _counts(self, required: list[str]) -> dict[str, int]:
        counts = _range(self._plain, "minProperties", "maxProperties", self._note)
        closed = not self._more and not self._patterns and bool(self._members)
        if counts.get("minProperties", math.inf) <= len(required):
            del counts["minProperties"]
        if closed and counts.get("maxProperties", -1) >= len(self._members):
            del counts["maxProperties"]
        possible = (
            not self._patterns
            and (self._more is not False or bool(self._members))
            and counts.get("maxProperties", math.inf) >= len(required)
            and (not closed or counts.get("minProperties", 0) <= len(self._members))
            and len(self._members) - len(required) <= _MOST_COUNTED
            and max(counts.values(), default=0) <= _MOST_NAMES
        )
        if possible:
            return counts
        for key in counts:
            self._note(key)
        return {}
