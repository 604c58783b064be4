"""Writes JSON, times and durations the way Ollama's server does (contract 1.5). Pure.

``<``, ``>`` and ``&`` are escaped as Go does; so are U+2028, U+2029 and U+0085, at which some clients cut lines.
Whole floats print without ``.0``. Keys keep the order they were given in.
"""

from __future__ import annotations

import re
import time
from typing import Any

import orjson

_TO_ESCAPE = re.compile(rb"[<>&]|\xe2\x80[\xa8\xa9]|\xc2\x85")
_ESCAPED = {
    b"<": rb"\u003c",
    b">": rb"\u003e",
    b"&": rb"\u0026",
    b"\xe2\x80\xa8": rb"\u2028",
    b"\xe2\x80\xa9": rb"\u2029",
    b"\xc2\x85": rb"\u0085",
}
_NS = 1_000_000_000


def encode(value: Any, *, sort_keys: bool = False) -> bytes:
    """One JSON value, without a line break at its end; ``sort_keys`` as Go writes its maps, at every level."""
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS) if sort_keys else orjson.dumps(value)
    # looking for three bytes is quicker than the pattern, and most texts hold none of them
    if b"<" in data or b">" in data or b"&" in data or b"\x80" in data or b"\x85" in data:
        return _TO_ESCAPE.sub(_escape, data)
    return data


def number(value: float) -> int | float:
    """A float as Go prints it: whole ones without a point."""
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def utc_time(ns: int) -> str:
    """Unix nanoseconds as RFC 3339 in UTC, zeros at the end of the fraction trimmed: ``2026-08-14T09:12:03.1Z``."""
    seconds, fraction = divmod(ns, _NS)
    return _clock(seconds) + _fraction(fraction) + "Z"


def local_time(seconds: float, offset: int) -> str:
    """Unix seconds as RFC 3339 with the local offset (seconds east of UTC); ``Z`` when that is 0."""
    whole, fraction = divmod(round(seconds * _NS), _NS)
    if offset == 0:
        return _clock(whole) + _fraction(fraction) + "Z"
    sign, minutes = ("-", -offset // 60) if offset < 0 else ("+", offset // 60)
    zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    return _clock(whole + offset) + _fraction(fraction) + zone


_last_second: tuple[int, str] = (-1, "")


def _clock(seconds: int) -> str:
    """``2026-08-14T09:12:03``; the last one is remembered, because a stream asks thousands of times a second."""
    global _last_second  # noqa: PLW0603  # a memo of a pure function
    known, text = _last_second
    if known != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _last_second = (seconds, text)
    return text


def _fraction(ns: int) -> str:
    return f".{ns:09d}".rstrip("0") if ns else ""


def _escape(found: re.Match[bytes]) -> bytes:
    return _ESCAPED[found[0]]
