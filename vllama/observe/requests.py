"""The requests that are being answered, and the last ones that ended; never what they said."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from vllama.observe.meter import Meter
from vllama.observe.spent import Spent

KEPT: Final = 500
"""Ended requests."""


class Requests:
    """Belongs to the event loop. Only requests that reached a model are kept."""

    def __init__(self) -> None:
        self._live: dict[int, Meter] = {}
        self._ended: deque[Spent] = deque(maxlen=KEPT)
        self._listeners: list[Callable[[Spent], object]] = []

    def began(self, meter: Meter) -> None:
        """This one is being answered."""
        self._live[id(meter)] = meter

    def left(self, meter: Meter) -> None:
        """This one is no longer answered."""
        self._live.pop(id(meter), None)

    def ended(self, spent: Spent) -> None:
        """Keep what it used."""
        if not spent.model:
            return
        self._ended.append(spent)
        for take in tuple(self._listeners):
            take(spent)

    def subscribe(self, take: Callable[[Spent], object]) -> Callable[[], None]:
        """Call this with each request that has ended; returns what ends that."""
        self._listeners.append(take)
        return lambda: self._listeners.remove(take)

    def live(self) -> list[Meter]:
        """Those that reached a model and are being answered, oldest first."""
        return [meter for meter in self._live.values() if meter.model]

    def last(self) -> list[Spent]:
        """Those that have ended, newest first."""
        return [*reversed(self._ended)]
