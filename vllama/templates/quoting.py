"""Texts between double quotes, as Go quotes them. Pure."""

from __future__ import annotations

import re
from typing import Final

from vllama.quoting import excerpt

_TO_ESCAPE = re.compile(r'["\\]|[^ -~]')
_ESCAPES: Final = {
    "\\": r"\\", '"': r"\"",
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
}  # fmt: skip
_LITERALS: Final = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}


def go_quote(text: str) -> str:
    """``strconv.Quote``: double quotes, Go's escapes, what can't be printed as ``\\x``, ``\\u`` or ``\\U``."""
    return f'"{_TO_ESCAPE.sub(_escaped, text)}"'


def go_excerpt(text: str) -> str:
    """``go_quote`` for errors: at most the beginning of a long text."""
    return go_quote(excerpt(text))


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
