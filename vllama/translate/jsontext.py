"""Writes JSON as Go does: ``<``, ``>``, ``&`` and the Unicode line separators are escaped (contract 1.5). Pure."""

from __future__ import annotations

import re
from typing import Any

import orjson

# raw, U+2028, U+2029 and U+0085 would cut a line in two for clients that split by Unicode's rules
_ESCAPED = re.compile(rb"[<>&]|\xe2\x80[\xa8\xa9]|\xc2\x85")
_ESCAPES = {
    b"<": rb"\u003c",
    b">": rb"\u003e",
    b"&": rb"\u0026",
    b"\xe2\x80\xa8": rb"\u2028",
    b"\xe2\x80\xa9": rb"\u2029",
    b"\xc2\x85": rb"\u0085",
}


def encode(value: Any, *, sort_keys: bool = False) -> bytes:
    """``value`` as one line of JSON; ``sort_keys`` at every level, as Go writes its maps."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else 0)
    return _ESCAPED.sub(_escape, text) if _ESCAPED.search(text) else text


def _escape(found: re.Match[bytes]) -> bytes:
    return _ESCAPES[found[0]]
