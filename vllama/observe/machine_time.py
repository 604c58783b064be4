"""Shares the time of the machine among the requests that engines work for: side by side, each gets its part."""

from __future__ import annotations

import time
from collections.abc import Callable


class MachineTime:
    """Belongs to the event loop. The shares of all requests add up to the time in which at least one was worked for."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """``clock``: in seconds."""
        self._clock = clock
        self._running = 0
        self._at = 0.0
        self._share = 0.0
        """Seconds of one who would run all the time."""

    def begin(self) -> float:
        """An engine works for one more; what it returns is handed to ``end``."""
        share = self._passed()
        self._running += 1
        return share

    def end(self, begun: float) -> float:
        """Seconds of the machine that this one had."""
        share = self._passed() - begun
        self._running -= 1
        return share

    def _passed(self) -> float:
        now = self._clock()
        if self._running:
            self._share += (now - self._at) / self._running
        self._at = now
        return self._share
