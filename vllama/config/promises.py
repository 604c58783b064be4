"""How ``slos:`` spells what is promised: ``99.9 %`` and ``1s at 95 %``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

_PERCENT: Final = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%")
_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(ms|s|m)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
_LIKE_PERCENT: Final = "must be a percentage such as 99.9 %"
_LIKE_LIMIT: Final = "must be a time and a percentage such as 1s at 95 %"


@dataclass(frozen=True, slots=True)
class Limit:
    """At least ``share`` of the requests take at most ``seconds``."""

    seconds: float
    share: float

    def __str__(self) -> str:
        """As the file would write it."""
        return f"{written_time(self.seconds)} at {written_share(self.share)}"


def read_share(value: Any) -> float:
    """``99.9 %`` as 0.999. 100 % is an error: nothing could fail."""
    found = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(_LIKE_PERCENT)
    percent = float(found[1])
    if not 0 < percent < 100:
        raise ValueError("must be more than 0 % and less than 100 %: an objective needs room for some failures")
    return round(percent / 100, 10)


def read_limit(value: Any) -> Limit:
    """``1s at 95 %``, ``300ms at 99.5 %``."""
    if isinstance(value, Limit):
        return value
    limit, at, percent = value.partition(" at ") if isinstance(value, str) else ("", "", "")
    found = _DURATION.fullmatch(limit.strip())
    if found is None or not at:
        raise ValueError(_LIKE_LIMIT)
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds <= 0:
        raise ValueError(f"{_LIKE_LIMIT}, the time above 0")
    return Limit(seconds, read_share(percent))


def written_share(share: float) -> str:
    """0.999 as ``99.9 %``."""
    return f"{share * 100:.10g} %"


def written_time(seconds: float) -> str:
    """0.3 as ``300ms``, 90 as ``90s``."""
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"
