"""The two Go value texts that travel inside JSON strings: durations and base64. Pure, exact in their errors."""

from __future__ import annotations

import re
from typing import Final

_WHOLE_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_NUMBER = re.compile(r"([0-9]*)(\.[0-9]*)?", re.ASCII)
_UNIT = re.compile(r"[^.0-9]+")
_NS: Final = {"ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
_MAX_NS: Final = 2**63 - 1


class GoValueError(ValueError):
    """The text of Go's error."""


def parse_duration(text: str) -> float:
    """``time.ParseDuration`` in seconds: ``1h30m``, ``-1.5h``, ``0``; raises GoValueError in Go's words."""
    quoted = _quote(text)
    invalid = GoValueError(f"time: invalid duration {quoted}")
    rest = text
    sign = 1
    if rest[:1] in {"-", "+"}:
        sign, rest = (-1 if rest[0] == "-" else 1), rest[1:]
    if rest == "0":
        return 0.0
    if not rest:
        raise invalid
    total = 0.0
    while rest:
        number = _NUMBER.match(rest)
        if number is None or not any(c.isdigit() for c in number[0]):
            raise invalid
        rest = rest[number.end() :]
        unit = _UNIT.match(rest)
        if unit is None:
            raise GoValueError(f"time: missing unit in duration {quoted}")
        if unit[0] not in _NS:
            raise GoValueError(f"time: unknown unit {_quote(unit[0])} in duration {quoted}")
        rest = rest[unit.end() :]
        total += float(number[0]) * _NS[unit[0]]
        if total > _MAX_NS:
            raise invalid
    return sign * total / 1e9


def _quote(text: str) -> str:
    """Package time's own quoting: bytes outside printable ASCII as ``\\x``."""
    out = []
    for byte in text.encode("utf-8", "replace"):
        if byte in b'"\\':
            out.append("\\" + chr(byte))
        else:
            out.append(chr(byte) if 0x20 <= byte < 0x80 else f"\\x{byte:02x}")
    return '"' + "".join(out) + '"'


def check_base64(text: str) -> str:
    """Standard base64 with padding; line breaks are taken out. Raises GoValueError with Go's byte offset."""
    if _WHOLE_BASE64.fullmatch(text):
        return text
    at = _corrupt_byte(text.encode("utf-8", "replace"))
    if at is not None:
        raise GoValueError(f"illegal base64 data at input byte {at}")
    return text.replace("\r", "").replace("\n", "")


def _corrupt_byte(data: bytes) -> int | None:
    """The offset that Go's decoder names, or None when only line breaks made the text unusual."""
    end = len(data)
    at = 0
    while True:
        filled = 0
        while filled < 4:
            if at == end:
                return None if filled == 0 else at - filled
            char = data[at]
            at += 1
            if char in _ALPHABET:
                filled += 1
            elif char in b"\r\n":
                continue
            elif char != ord("=") or filled < 2:
                return at - 1
            else:
                return _after_padding(data, at, filled)


def _after_padding(data: bytes, at: int, filled: int) -> int | None:
    """Judge what follows the first ``=`` of a quantum that holds ``filled`` characters."""
    at = _skip_breaks(data, at)
    if filled == 2:
        if at == len(data):
            return at
        if data[at] != ord("="):
            return at - 1
        at = _skip_breaks(data, at + 1)
    return at if at < len(data) else None


def _skip_breaks(data: bytes, at: int) -> int:
    while at < len(data) and data[at] in b"\r\n":
        at += 1
    return at
