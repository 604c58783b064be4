"""Scenarios as sentences with a bound in seconds; what was measured is told at the end of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

_POLL_SECONDS: Final = 0.05
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Measured:
    """One line of the table."""

    sentence: str
    bound: float
    seconds: float


TABLE: Final[list[Measured]] = []


@contextmanager
def within(bound: float, sentence: str) -> Iterator[None]:
    """What happens inside must be over in so many seconds."""
    began = time.monotonic()
    yield
    taken = time.monotonic() - began
    TABLE.append(Measured(sentence, bound, taken))
    assert taken <= bound, f"{sentence}: took {taken:.1f} s, the bound is {bound:.0f} s"


def until(question: Callable[[], _Found], bound: float) -> _Found:
    """Ask until the answer is true, and return it; AssertionError after ``bound`` seconds."""
    deadline = time.monotonic() + bound
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {bound:.0f} s; last answer: {answer!r}"
        time.sleep(_POLL_SECONDS)
    return answer
