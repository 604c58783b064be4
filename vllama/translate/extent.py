"""How much JSON a body holds, counted before it is decoded. Pure.

Ollama has no such bounds, and in Python a value costs fifty times its text: 60 MB of empty lists took a minute and
3 GB, during which nobody else was served. The numbers are far above what people send: a context of 262,144 tokens is
so many values, and the longest history that we accept has about four objects to a message. Text costs nothing here,
whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vllama.errors import BadRequest

MAX_VALUES: Final = 300_000
"""Elements and members of all lists and objects."""
MAX_OBJECTS: Final = 50_000
MAX_NESTING: Final = 128
"""orjson writes 254 levels, and what we hand on is wrapped in some of ours."""
TOO_DEEP: Final = "the JSON is nested too deeply"

_HEAVY_BYTES: Final = 1 << 18
_HEAVY_VALUES: Final = 4_000


def check_extent(data: bytes, most: int = MAX_VALUES) -> None:
    """Raises BadRequest for a text of more than ``most`` values, or of too many objects."""
    if _values(data) <= most and data.count(b"{") <= MAX_OBJECTS:
        return
    bare = _without_strings(data, most)
    if bare is None or _values(bare) > most:
        raise BadRequest(f"the request holds more than {most} JSON values; at most that many are accepted")
    if (objects := bare.count(b"{")) > MAX_OBJECTS:
        raise BadRequest(f"the request holds {objects} JSON objects; at most {MAX_OBJECTS} are accepted")


def check_nesting(data: bytes, value: Any) -> None:
    """``value`` is what was read from ``data``; raises BadRequest when it is nested deeper than we can hand on."""
    if data.count(b"[") + data.count(b"{") > MAX_NESTING and _is_deeper(value, MAX_NESTING):
        raise BadRequest(TOO_DEEP)


def is_heavy(data: bytes) -> bool:
    """Does decoding take milliseconds, in which everybody else's tokens would wait?"""
    return len(data) > _HEAVY_BYTES or _values(data) > _HEAVY_VALUES


def _values(data: bytes) -> int:
    """Every element follows a comma or opens its container; commas and brackets inside strings count too."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _without_strings(data: bytes, most: int) -> bytes | None:
    """What stands outside strings; None where there are more of these than ``most`` values have.

    Each step is one pass of C, however many strings there are: a loop over them is what must be avoided.
    """
    unescaped = data.replace(rb"\\", b"").replace(rb"\"", b"")
    if unescaped.count(b'"') > 4 * (most + 1):  # a member is two strings, each between two quotes
        return None
    return b"".join(unescaped.split(b'"')[::2])


def _is_deeper(value: Any, levels: int) -> bool:
    """Are there lists and objects in more than ``levels`` of each other?"""
    level = [value] if isinstance(value, list | dict) else []
    while level and levels:
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, list | dict)]
        levels -= 1
    return bool(level)


def _inside(container: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container
