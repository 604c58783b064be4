"""What clients may send: JSON of the keys and values that a dialect knows, in any place; and valid requests of which
one part is something else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Json = Any
Place = tuple[str | int, ...]


def json_values(keys: Sequence[str], leaves: Sequence[Json]) -> st.SearchStrategy[Json]:
    """Any JSON of these keys and leaves."""
    return st.recursive(
        st.sampled_from(leaves),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=4),
        max_leaves=8,
    )


KINDS: tuple[Json, ...] = (None, True, 0, -1.5, "", "x", [], [None], [0], {}, {"x": 0})


def spoilt(valid: Sequence[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    """Each of the valid requests with a value of each kind in each of its places."""
    for body in valid:
        for place in _places(body):
            for kind in KINDS:
                changed = deepcopy(body)
                inside: Json = changed
                for part in place[:-1]:
                    inside = inside[part]
                inside[place[-1]] = kind
                yield changed


def _places(value: Json, path: Place = ()) -> Iterator[Place]:
    if path:
        yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from _places(member, (*path, key))


@st.composite
def as_bytes(draw: st.DrawFn, bodies: st.SearchStrategy[Json]) -> bytes:
    """A body as JSON; one in ten with a wrong byte."""
    data = bytearray(json.dumps(draw(bodies)).encode())
    if draw(st.integers(0, 9)) == 9:
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)
