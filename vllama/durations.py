"""Durations as Go writes them, in requests and in Ollama's environment variables. Pure."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_LONGEST: Final = 200
"""Characters; what Go itself writes has a tenth of them."""


def read_go_duration(text: str) -> float | None:
    """Seconds of ``1h30m``, ``-1.5h``, ``.5s`` or ``0``; None for any other text."""
    bare = text[1:] if text[:1] in {"-", "+"} else text
    if bare == "0":
        return 0.0
    if not bare or len(bare) > _LONGEST or _PART.sub("", bare):
        return None
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(bare))
    return -seconds if text[0] == "-" else seconds
