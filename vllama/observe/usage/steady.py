"""Tells whether the machine's clock can be trusted: what is old must not be deleted because a clock has jumped."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_APART: Final = 300.0
"""Seconds by which the wall clock may differ from the time since boot before it has jumped."""
_TRUSTED_AFTER: Final = 3600.0
"""Seconds without a jump."""


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Unix seconds, once the clock has run for an hour without a jump."""

    def __init__(self, wall: Callable[[], float] = time.time, boot: Callable[[], float] = _since_boot) -> None:
        self._wall = wall
        self._boot = boot
        self._since = boot()
        self._offset = wall() - self._since

    def now(self) -> float | None:
        """None while the clock is not trusted."""
        boot = self._boot()
        offset = self._wall() - boot
        if abs(offset - self._offset) > _APART:
            self._offset, self._since = offset, boot
        return boot + offset if boot - self._since >= _TRUSTED_AFTER else None
