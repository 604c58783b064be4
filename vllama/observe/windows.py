"""Counts good and bad events over windows of time, in constant memory. Pure."""

from __future__ import annotations

from array import array
from copy import deepcopy
from typing import Final, NamedTuple, TypeAlias

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_FINE: Final = (30.0, 720)
"""Seconds of a slot, and slots: six hours."""
_COARSE: Final = (_HOUR, 90 * 24)
"""Ninety days."""
Slots: TypeAlias = list[tuple[int, int, int]]
"""(number, all, bad) of each slot."""
LONGEST: Final = _COARSE[0] * _COARSE[1]
"""Seconds of the longest window."""
_MOST: Final = 1 << 62


class Count(NamedTuple):
    """How many events there were, and how many of them were bad."""

    all: int
    bad: int


class Windows:
    """Two rings of slots: a fine one for windows up to six hours, a coarse one for longer ones.

    A window is made of whole slots, the present one included, so it is up to one slot shorter than its name. Times are
    seconds of a clock that never goes back; a time before the latest one counts as the latest.
    """

    def __init__(self) -> None:
        self._fine = _Ring(*_FINE)
        self._coarse = _Ring(*_COARSE)
        # events since ``_since`` that no ring has yet: all of one fine slot, which ends at ``_until``
        self._all = self._bad = 0
        self._since = self._until = 0.0

    def add(self, now: float, *, bad: bool) -> None:
        """Count an event. Quick: the rings get the events of a slot together."""
        if now >= self._until:
            self._fold()
            self._since, self._until = now, (now // _FINE[0] + 1) * _FINE[0]
        self._all += 1
        self._bad += bad

    def count(self, now: float, seconds: float) -> Count:
        """The events of the last ``seconds``, ``LONGEST`` at most."""
        self._fold()
        ring = self._fine if seconds <= _FINE[0] * _FINE[1] else self._coarse
        return ring.count(now, seconds)

    def copy(self) -> Windows:
        """One that another thread may read while this one goes on counting."""
        return deepcopy(self)

    def kept(self) -> dict[str, Slots]:
        """Slots that are not empty, as (number, all, bad), to be written down."""
        self._fold()
        return {"fine": self._fine.kept(), "coarse": self._coarse.kept()}

    def restore(self, now: float, fine: Slots, coarse: Slots) -> None:
        """Count what ``kept`` returned; what lies in the future or too long ago is left out.

        Raises ValueError for numbers that no count can be.
        """
        self._fine.restore(now, fine)
        self._coarse.restore(now, coarse)

    def _fold(self) -> None:
        if self._all:
            self._fine.add(self._since, self._all, self._bad)
            self._coarse.add(self._since, self._all, self._bad)
            self._all = self._bad = 0


class _Ring:
    """The latest slots of one length."""

    def __init__(self, step: float, slots: int) -> None:
        self._step = step
        self._slots = slots
        self._all = array("Q", bytes(8 * slots))
        self._bad = array("Q", bytes(8 * slots))
        self._latest = 0

    def add(self, now: float, events: int, bad: int) -> None:
        place = self._turn(now) % self._slots
        self._all[place] += events
        self._bad[place] += bad

    def count(self, now: float, seconds: float) -> Count:
        latest = self._turn(now)
        wanted = min(max(round(seconds / self._step), 1), self._slots)
        end = latest % self._slots + 1
        begin = end - wanted
        if begin >= 0:
            return Count(sum(self._all[begin:end]), sum(self._bad[begin:end]))
        parts = (slice(0, end), slice(begin, None))
        return Count(sum(sum(self._all[part]) for part in parts), sum(sum(self._bad[part]) for part in parts))

    def kept(self) -> Slots:
        first = self._latest - self._slots + 1
        found = ((number, number % self._slots) for number in range(max(first, 0), self._latest + 1))
        return [(number, self._all[place], self._bad[place]) for number, place in found if self._all[place]]

    def restore(self, now: float, kept: Slots) -> None:
        latest = self._turn(now)
        for number, events, bad in kept:
            if not 0 <= bad <= events < _MOST:
                raise ValueError("is no count")
            if latest - self._slots < number <= latest:
                self._all[number % self._slots], self._bad[number % self._slots] = events, bad

    def _turn(self, now: float) -> int:
        """The number of the present slot; slots of the time that passed since the last call are emptied."""
        number = max(int(now // self._step), 0)
        if number > self._latest:
            passed = number - self._latest
            if passed >= self._slots:
                self._all, self._bad = array("Q", bytes(8 * self._slots)), array("Q", bytes(8 * self._slots))
            else:
                for gone in range(self._latest + 1, number + 1):
                    self._all[gone % self._slots] = self._bad[gone % self._slots] = 0
            self._latest = number
        return self._latest
