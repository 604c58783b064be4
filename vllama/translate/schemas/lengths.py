"""Bounds the different lengths that one grammar holds: each is written out in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from vllama.translate.schemas.words import Note

MAX_LENGTHS: Final = 5_000
"""The sum of the different lengths that texts and lists may have, each up to a thousand (5,000: 2 s, 20,000: more
than 12 s)."""
_LONG: Final = 1_000
_KEYS: Final = ("minLength", "maxLength", "minItems", "maxItems")


def shorten(schemas: Sequence[dict[str, Any]], note: Note) -> None:
    """Takes the largest lengths out of prepared schemas where together they are too many; notes their keywords."""
    held = [(schema, key) for root in schemas for schema in _below(root) for key in _KEYS if key in schema]
    kept, total = set(), 0
    for length in sorted({schema[key] for schema, key in held}):
        total += min(length, _LONG) if length > 1 else 0
        if total > MAX_LENGTHS:
            break
        kept.add(length)
    for schema, key in held:
        if key in schema and schema[key] not in kept:  # one that stands in two places is met twice
            del schema[key]
            note(key)


def _below(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All schemas in it and itself; a member may be called as a keyword is, but then it is no number."""
    waiting: list[Any] = [root]
    while waiting:
        schema = waiting.pop()
        if isinstance(schema, list):
            waiting.extend(schema)
        elif isinstance(schema, dict):
            if any(isinstance(schema.get(key), int) for key in _KEYS):
                yield schema
            waiting.extend(value for key, value in schema.items() if not (key == "enum" and isinstance(value, list)))
