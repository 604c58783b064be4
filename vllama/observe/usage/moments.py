"""Reads the bounds of a report: ``7d``, ``2026-11-01``, ``2026-11`` or Unix seconds. Days are those of UTC. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_AGO: Final = re.compile(r"(\d{1,5})([hdw])", re.ASCII)
_SECONDS: Final = {"h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER: Final = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)
_LAST: Final = 253402300800.0
"""Unix seconds of the end of the year 9999."""


def read_moment(text: str, now: float, *, end: bool = False) -> float:
    """Unix seconds; ``end``: the end of a day or month that is named, not its beginning. Raises ValueError."""
    if ago := _AGO.fullmatch(text):
        return max(0.0, now - int(ago[1]) * _SECONDS[ago[2]])
    if _NUMBER.fullmatch(text) and len(text) > 4:
        return min(float(text), _LAST)
    month = bool(re.fullmatch(r"\d{4}-\d\d", text, re.ASCII))
    if not month and not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError("is neither a time ago such as 7d nor a day such as 2026-11-30 nor a month such as 2026-11")
    try:
        begin = datetime.fromisoformat(f"{text}-01" if month else text).replace(tzinfo=UTC)
        after = (begin + timedelta(days=31)).replace(day=1) if month else begin + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ValueError("is no day of the calendar") from None
    return (after if end else begin).timestamp()
