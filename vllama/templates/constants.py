"""Go's constants in templates: numbers, characters, quoted strings. Pure."""

from __future__ import annotations

import math
import re
from typing import Final

from vllama.quoting import excerpt

_UNDERSCORES: Final = re.compile(r"(?:^|[^0-9a-fA-FxXoObB])_|_(?:$|[^0-9a-fA-F])|__")
_SIMPLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_OCTAL: Final = re.compile(r"[0-7]+")
_HEX_FLOAT: Final = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+")
_MAX: Final = 2**63


def number(text: str) -> int | float | str:
    """An int (64 bits) or a float; a string is the error."""
    plain = text.replace("_", "")
    illegal = f"illegal number syntax: {_shown(text)}"
    if _UNDERSCORES.search(text) or text.endswith("i"):
        return illegal
    try:
        if _HEX_FLOAT.fullmatch(plain):
            return _finite(float.fromhex(plain))
        digits = plain.lstrip("+-").lower()
        if digits.startswith(("0x", "0o", "0b")):
            value = int(plain, 0)
        elif digits.isdigit():
            if digits.startswith("0") and not _OCTAL.fullmatch(digits):
                return f"integer overflow: {_shown(text)}"  # Go reads 08 as a float and finds that it has no point
            value = int(plain, 8) if digits.startswith("0") else int(plain)
        else:
            return _finite(float(plain))
    except (ValueError, OverflowError):
        return illegal
    return value if -_MAX <= value < _MAX else f"integer overflow: {_shown(text)}"


def _finite(value: float) -> float:
    """Go reads no number that is too large for its 64 bits, and knows no word for infinity."""
    if not math.isfinite(value):
        raise OverflowError
    return value


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
