"""Times as Ollama's server writes them: RFC 3339, up to nine digits, zeros at the end trimmed. Pure."""

from __future__ import annotations

import time

_NS = 1_000_000_000


def utc_time(ns: int) -> str:
    """Unix nanoseconds as RFC 3339 in UTC, zeros at the end of the fraction trimmed: ``2026-08-14T09:12:03.1Z``."""
    seconds, fraction = divmod(ns, _NS)
    if fraction % 10 and seconds == _last_second[0]:
        return f"{_last_second[1]}.{fraction:09d}Z"  # as good as always in a stream
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
