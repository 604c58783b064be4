"""Go's constants in templates: numbers, characters, quoted strings. Pure."""

from __future__ import annotations

import math
import re
from typing import Final

from vllama.quoting import excerpt

_SIMPLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_WHOLE: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]*|0[xX][0-9a-fA-F]+)", re.ASCII)
_REAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_MAX: Final = 2**63
_LONGEST: Final = 400
"""Characters of a number; no number of 64 bits has more."""


def number(text: str) -> int | float | str:
    """An int (64 bits), decimal or hexadecimal, or a float; a string is the error."""
    if len(text) <= _LONGEST and _WHOLE.fullmatch(text):
        value = int(text, 0)
        return value if -_MAX <= value < _MAX else f"integer overflow: {_shown(text)}"
    if len(text) <= _LONGEST and not text.isdigit() and _REAL.fullmatch(text) and math.isfinite(real := float(text)):
        return real
    return f"illegal number syntax: {_shown(text)}"


def character(text: str) -> int | str:
    """The code point of ``'x'``; a string is the error."""
    inner = _unescaped(text[1:-1], "'")
    if not inner:
        return "invalid syntax"
    return ord(inner) if len(inner) == 1 else f"malformed character constant: {excerpt(text)}"


def unquote(text: str) -> str | None:
    """What stands between double quotes or backquotes; None when Go can't read it."""
    if text.startswith("`"):
        return text[1:-1].replace("\r", "")
    return _unescaped(text[1:-1], '"')


def _unescaped(text: str, mark: str) -> str | None:
    """Escapes give bytes (``\\xe9``) or characters (``\\u00e9``); bytes that are no UTF-8 become U+FFFD."""
    if "\\" not in text:
        return text
    out = bytearray()
    data = text.encode("utf-8", "replace")
    at = 0
    while (found := data.find(b"\\", at)) >= 0:
        out += data[at:found]
        escape = _ESCAPE.match(data, found)
        if escape is None:
            return None
        single, four, eight, octal, simple = escape.groups()
        if single:
            out.append(int(single, 16))
        elif octal:
            if (value := int(octal, 8)) > 255:
                return None
            out.append(value)
        elif code := four or eight:
            point = int(code, 16)
            if point > 0x10FFFF or 0xD800 <= point < 0xE000:
                return None
            out += chr(point).encode()
        elif (char := simple.decode("latin-1")) in _SIMPLE:
            out += _SIMPLE[char].encode()
        elif char == mark:
            out += simple
        else:
            return None
        at = escape.end()
    out += data[at:]
    return out.decode("utf-8", "replace")


def _shown(text: str) -> str:
    return f'"{excerpt(text)}"'
