"""Decides whether the bytes that a client owes, or is owed, move fast enough. Pure.

A client that moves nothing for a whole ``patience`` is too slow, and so is one that moves fewer than ``least`` bytes a
second over three of them. There is no limit to the whole time: a large file over a slow line takes hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_PERIOD: Final = 3
"""Patiences over which the bytes per second are counted."""


@dataclass(slots=True)
class Pace:
    """One direction of a connection, from the moment at which bytes were due."""

    since: float
    """When the last byte moved, as far as was seen."""
    moved: int
    period_since: float
    period_moved: int

    @classmethod
    def begin(cls, now: float, moved: int) -> Pace:
        """``moved``: a counter of bytes that only grows."""
        return cls(now, moved, now, moved)

    def too_slow(self, now: float, moved: int, patience: float, least: int) -> bool:
        """Look at the counter again."""
        if moved != self.moved:
            self.since, self.moved = now, moved
        if now - self.since >= patience:
            return True
        passed = now - self.period_since
        if passed < _PERIOD * patience:
            return False
        slow = moved - self.period_moved < least * passed
        self.period_since, self.period_moved = now, moved
        return slow
