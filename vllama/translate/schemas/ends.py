"""Sees to it that a value can end which may hold values of its own kind. Pure.

A node that must have a next node goes on for ever: such a member need not be there, so that an answer has an end.
Schemas are as ``values`` writes them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from vllama.translate.schemas.words import Note


def ending(whole: dict[str, Any], definitions: dict[str, Any], note: Note) -> None:
    """Takes from ``required`` and ``minItems`` what never ends; changes both arguments."""
    if not definitions:
        return
    ends: set[str] = set()
    while more := {name for name, body in definitions.items() if name not in ends and _ends(body, ends)}:
        ends |= more
    if len(ends) == len(definitions):
        return
    for schema in (whole, *definitions.values()):
        for part in _parts(schema):
            _relax(part, ends, note)


def _ends(schema: Mapping[str, Any], ends: Collection[str]) -> bool:
    if "$ref" in schema:
        return schema["$ref"].removeprefix("#/$defs/") in ends
    if "anyOf" in schema:
        return any(_ends(branch, ends) for branch in schema["anyOf"])
    needed = [schema["properties"][name] for name in schema.get("required", ())]
    return all(_ends(part, ends) for part in (*needed, *_needed_items(schema)))


def _needed_items(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    first, least = schema.get("prefixItems", []), schema.get("minItems", 0)
    rest = schema.get("items")
    return [*first[:least], *([rest] if least > len(first) and isinstance(rest, dict) else [])]


def _relax(schema: dict[str, Any], ends: Collection[str], note: Note) -> None:
    if "required" in schema:
        kept = [name for name in schema["required"] if _ends(schema["properties"][name], ends)]
        if len(kept) < len(schema["required"]):
            note("required")
            del schema["required"]
            if kept:
                schema["required"] = kept
    if not all(_ends(part, ends) for part in _needed_items(schema)):
        note("minItems")
        del schema["minItems"]


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and all that it is made of."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += [inner for key in ("anyOf", "prefixItems") for inner in part.get(key, ())]
        waiting += [inner for key in ("properties", "patternProperties") for inner in part.get(key, {}).values()]
        waiting += [part[key] for key in ("items", "additionalProperties") if isinstance(part.get(key), dict)]
