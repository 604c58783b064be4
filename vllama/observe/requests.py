"""The requests that are being answered, and the last ones that ended; never what they said."""

from __future__ import annotations

from collections import deque
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

    def began(self, meter: Meter) -> None:
        """This one is being answered."""
        self._live[id(meter)] = meter

    def left(self, meter: Meter) -> None:
        """This one is no longer answered."""
        self._live.pop(id(meter), None)

    def ended(self, spent: Spent) -> None:
        """Keep what it used."""
        if spent.model:
            self._ended.append(spent)

    def live(self) -> list[Meter]:
        """Those that reached a model and are being answered, oldest first."""
        return [meter for meter in self._live.values() if meter.model]

    def last(self) -> list[Spent]:
        """Those that have ended, newest first."""
        return [*reversed(self._ended)]
