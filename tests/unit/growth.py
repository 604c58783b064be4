"""Holds work to what it may grow by, on a machine that does other things as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")
_TRIES = 3
_GROWTH = 3.0
"""Twice as much may take three times as long: caches and the collector are not linear. A square takes four times."""
_NOTHING = 0.004
"""Seconds of CPU below which nothing can be measured."""


def grows_linearly(make: Callable[[int], T], work: Callable[[T], object], size: int) -> bool:
    """Whether ``work`` takes as long as there is to do: its CPU time for ``size``, twice and four times as much.

    The best of several tries counts, and a series that looks bad is measured again.
    """
    return any(_is_linear([_seconds(make(factor * size), work) for factor in (1, 2, 4)]) for _ in range(3))


def _is_linear(times: list[float]) -> bool:
    return all(after <= _GROWTH * max(before, _NOTHING) for before, after in pairwise(times))


def _seconds(given: T, work: Callable[[T], object]) -> float:
    best = float("inf")
    for _ in range(_TRIES):
        began = time.thread_time()
        work(given)
        best = min(best, time.thread_time() - began)
        if best > 1:
            break
    return best
