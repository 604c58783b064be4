"""Shares the energy of intervals of time among the requests that had tokens computed in them. Pure.

Times are seconds of one clock. Joules are per device: ``cpu`` (all packages and their memory) or ``gpu0``. Not a number
(``nan``) stands for energy that was used and could not be measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

CPU: Final = "cpu"
_LONGEST_GAP: Final = 300.0
"""Seconds after which a counter that wraps around may have done so twice."""


def gpu_device(index: int) -> str:
    """The name of a GPU as a device."""
    return f"gpu{index}"


@dataclass(frozen=True, slots=True)
class Counter:
    """What one meter of a device shows."""

    device: str
    joules: float
    wraps_at: float | None = None
    """Joules at which it begins again at 0; None: it never does."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All meters at one moment, by their own names."""

    at: float
    counters: Mapping[str, Counter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interval:
    """The energy that is to be shared of the time from ``begin`` to ``end``."""

    begin: float
    end: float
    joules: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Work:
    """What the engine computed for one request: its prompt until the first token, then the rest of the answer."""

    leased: float
    first: float
    ended: float
    prompt: int
    """Tokens, without those that the prefix cache had."""
    generated: int

    def tokens(self, begin: float, end: float) -> float:
        """How many of them fall into this time, if each part went on evenly."""
        prompt = self.prompt * _overlap(self.leased, self.first, begin, end)
        return prompt + self.generated * _overlap(self.first, self.ended, begin, end)


def used(before: Reading, after: Reading) -> dict[str, float]:
    """Joules by device between two readings; ``nan`` for a device with a meter that is gone, new or was reset."""
    found: dict[str, float] = {}
    for name in before.counters.keys() | after.counters.keys():
        old, new = before.counters.get(name), after.counters.get(name)
        device = (new or old or Counter("", 0)).device
        step = _step(old, new, after.at - before.at) if old is not None and new is not None else math.nan
        found[device] = found.get(device, 0.0) + step
    return found


def share(intervals: Sequence[Interval], works: Sequence[tuple[Work, AbstractSet[str]]]) -> list[float | None]:
    """Joules of these intervals for each of ``works``, which come with the devices that computed them.

    A device's joules are shared by tokens; where no request had any, they are left over. None: no device of the work
    was measured while it ran; ``nan``: one of them was not measured all of that time.
    """
    parts: list[list[tuple[tuple[int, str], float]]] = []
    sums: dict[tuple[int, str], float] = {}
    for work, devices in works:
        parts.append([])
        for number, interval in enumerate(intervals):
            if tokens := work.tokens(interval.begin, interval.end):
                for device in devices & interval.joules.keys():
                    parts[-1].append(((number, device), tokens))
                    sums[number, device] = sums.get((number, device), 0.0) + tokens
    joules = {(number, device): found for number, one in enumerate(intervals) for device, found in one.joules.items()}
    return [sum(joules[of] * tokens / sums[of] for of, tokens in part) if part else None for part in parts]


def _overlap(begin: float, end: float, first: float, last: float) -> float:
    """The share of ``begin`` to ``end`` that lies between the other two; a moment lies in one interval only."""
    if end <= begin:
        return float(first < begin <= last)
    return max(0.0, min(end, last) - max(begin, first)) / (end - begin)


def _step(old: Counter, new: Counter, seconds: float) -> float:
    if new.wraps_at is None:
        return new.joules - old.joules if new.joules >= old.joules else math.nan
    if seconds > _LONGEST_GAP:
        return math.nan
    step = new.joules - old.joules
    return step if step >= 0 else step + new.wraps_at
