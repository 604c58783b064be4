"""The two Go value texts that travel inside JSON strings: durations and base64. Pure, exact in their errors."""

from __future__ import annotations

import re
from typing import Final

from vllama.quoting import excerpt

_BREAKS = b"\r\n"
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# no match takes long: other threads run only between two of them
_QUANTA_PART = re.compile(rb"(?:(?:[\r\n]*+[A-Za-z0-9+/]){4}){1,100000}+")
_BREAKS_PART = re.compile(rb"[\r\n]*+")
_NUMBER = re.compile(r"([0-9]*)(\.[0-9]*)?", re.ASCII)
_UNIT = re.compile(r"[^.0-9]+")
_NS: Final = {"ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
_MAX_NS: Final = 2**63 - 1
_LONGEST_DURATION: Final = 200
"""Characters; what Go itself writes has a tenth of them."""


class GoValueError(ValueError):
    """The text of Go's error."""


def parse_duration(text: str) -> float:
    """``time.ParseDuration`` in seconds: ``1h30m``, ``-1.5h``, ``0``; raises GoValueError in Go's words.

    A text that is longer than any that somebody means is invalid, too.
    """
    bare = text[1:] if text[:1] in {"-", "+"} else text
    if bare == "0":
        return 0.0
    if not bare or len(bare) > _LONGEST_DURATION:
        raise _invalid(text)
    total = 0.0
    at = 0
    while at < len(bare):
        number = _NUMBER.match(bare, at)
        if number is None or not any(c.isdigit() for c in number[0]):
            raise _invalid(text)
        unit = _UNIT.match(bare, number.end())
        if unit is None:
            raise GoValueError(f"time: missing unit in duration {_quote(text)}")
        if unit[0] not in _NS:
            raise GoValueError(f"time: unknown unit {_quote(unit[0])} in duration {_quote(text)}")
        at = unit.end()
        total += float(number[0]) * _NS[unit[0]]
        if total > _MAX_NS:
            raise _invalid(text)
    return (-total if text[0] == "-" else total) / 1e9


def _invalid(text: str) -> GoValueError:
    return GoValueError(f"time: invalid duration {_quote(text)}")


def _quote(text: str) -> str:
    """Package time's own quoting: bytes outside printable ASCII as ``\\x``."""
    out = []
    for byte in excerpt(text).encode("utf-8", "replace"):
        if byte in b'"\\':
            out.append("\\" + chr(byte))
        else:
            out.append(chr(byte) if 0x20 <= byte < 0x80 else f"\\x{byte:02x}")
    return '"' + "".join(out) + '"'


def check_base64(text: str) -> str:
    """Standard base64 with padding; line breaks are taken out. Raises GoValueError with Go's byte offset."""
    data = text.encode("utf-8", "replace")
    if _is_whole(data):
        return text
    if _is_whole(bare := data.translate(None, _BREAKS)):
        return bare.decode()
    raise GoValueError(f"illegal base64 data at input byte {_corrupt_byte(data)}")


def _is_whole(data: bytes) -> bool:
    """Each look is one pass of C: images are megabytes."""
    padding = data.translate(None, _ALPHABET)
    return len(data) % 4 == 0 and padding in {b"", b"=", b"=="} and data.endswith(padding)


def _corrupt_byte(data: bytes) -> int:
    """The offset that Go's decoder names."""
    at = 0
    while found := _QUANTA_PART.match(data, at):
        at = found.end()
    filled = 0
    while True:
        at = _skip_breaks(data, at)
        if at == len(data):
            return at - filled
        if data[at] not in _ALPHABET:
            break
        filled += 1
        at += 1
    if data[at] != ord("=") or filled < 2:
        return at
    return _after_padding(data, at + 1, filled)


def _after_padding(data: bytes, at: int, filled: int) -> int:
    """Judge what follows the first ``=`` of a quantum that holds ``filled`` characters."""
    at = _skip_breaks(data, at)
    if filled == 2:
        if at == len(data):
            return at
        if data[at] != ord("="):
            return at - 1
        at = _skip_breaks(data, at + 1)
    return at


def _skip_breaks(data: bytes, at: int) -> int:
    found = _BREAKS_PART.match(data, at)
    return at if found is None else found.end()
