"""How numbers, times and tables look to people: as in Ollama's command, so that scripts keep working. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_COUNT_UNITS: Final = ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0))
_HOUR: Final = 3600
_YEAR_HOURS: Final = 24 * 365
_FOREVER_YEARS: Final = 20
_COLUMN_GAP: Final = "    "

# C0 without tab and newline, DEL, C1; and the marks that reorder text on the screen
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def human_count(number: int) -> str:
    """Ollama's ``parameter_size``: ``7.6B``, ``334.09M``, ``512K``."""
    for scale, unit, digits in _COUNT_UNITS:
        if number >= scale:
            return f"{number / scale:.{digits}f}{unit}"
    return str(number)


def human_duration(seconds: float) -> str:
    """A span in rough words: ``42 seconds``, ``About a minute``, ``3 hours``, ``2 weeks``."""
    if seconds < 1:
        return "Less than a second"
    if seconds < 2:
        return "1 second"
    if seconds < 60:
        return f"{int(seconds)} seconds"
    minutes = int(seconds // 60)
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / _HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 14:
        return f"{hours // 24} days"
    if hours < 24 * 60:
        return f"{hours // (24 * 7)} weeks"
    if hours < 2 * _YEAR_HOURS:
        return f"{hours // (24 * 30)} months"
    return f"{hours // _YEAR_HOURS} years"


def human_time(then: float, now: float) -> str:
    """Unix seconds as ``2 minutes ago``, ``4 minutes from now``; ``Forever`` from twenty years on."""
    ahead = then - now
    if ahead > _FOREVER_YEARS * _YEAR_HOURS * _HOUR:
        return "Forever"
    if ahead > 0:
        return f"{human_duration(ahead)} from now"
    return f"{human_duration(-ahead)} ago"


def until(expires_at: float, now: float) -> str:
    """The UNTIL column of ``ps``: ``Stopping...`` when the time is past."""
    return "Stopping..." if expires_at < now else human_time(expires_at, now)


def processor(size: int, size_vram: int) -> str:
    """The PROCESSOR column of ``ps``; the first share of a split is the CPU's."""
    if size <= 0 or size_vram > size:
        return "Unknown"
    if size_vram == 0:
        return "100% CPU"
    if size_vram == size:
        return "100% GPU"
    on_cpu = round((size - size_vram) / size * 100)
    return f"{on_cpu}%/{100 - on_cpu}% CPU/GPU"


def exact_duration(nanoseconds: int) -> str:
    """Every digit, in the largest fitting units: ``1m4.25s``, ``412.870113ms``, ``0s``."""
    if nanoseconds <= 0:
        return "0s"
    if nanoseconds < 10**3:
        return f"{nanoseconds}ns"
    if nanoseconds < 10**6:
        return f"{_decimal(nanoseconds, 10**3)}µs"
    if nanoseconds < 10**9:
        return f"{_decimal(nanoseconds, 10**6)}ms"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    lead = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{lead}{_decimal(rest, 10**9)}s"


def _decimal(value: int, scale: int) -> str:
    whole, rest = divmod(value, scale)
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def clean(text: str) -> str:
    """What a model wrote, safe for a terminal: no control characters (so no escape sequences), no reordering marks."""
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table as Ollama prints it: left-aligned, four spaces between columns, no rules.

    Without headers only the rows are given.
    """
    lines = [*([headers] if headers else []), *rows]
    if not lines:
        return []
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [_COLUMN_GAP.join(map(str.ljust, line, widths)).rstrip() for line in lines]
