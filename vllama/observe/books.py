"""Where requests are entered when they begin, and what each has used is handed to all who count it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeAlias

from vllama.observe.machine_time import MachineTime
from vllama.observe.meter import Meter
from vllama.observe.metrics import Metrics
from vllama.observe.requests import Requests
from vllama.observe.spent import Spent
from vllama.observe.traces import Traces

Taker: TypeAlias = Callable[[Spent], object]
"""Called on the event loop for each request that has ended: it must be quick and must not wait."""
_LOG: Final = logging.getLogger("vllama")


class Books:
    """One for the whole service; belongs to its event loop."""

    def __init__(self, metrics: Metrics, *takers: Taker) -> None:
        """``takers``: who else gets each ``Spent``."""
        self.metrics = metrics
        self.requests = Requests()
        self._machine = MachineTime()
        self.traces = Traces()
        self._takers: tuple[Taker, ...] = (metrics.ended, self.requests.ended, self.traces.take, *takers)

    def meter(self, route: str, request_id: str = "") -> Meter:
        """Enter a request; ``route`` is the pattern it matched, never a path with names in it."""
        meter = Meter(route, request_id, self.metrics.series, self._machine, self._end)
        self.metrics.began()
        self.requests.began(meter)
        return meter

    def _end(self, meter: Meter, spent: Spent) -> None:
        self.requests.left(meter)
        for take in self._takers:
            try:
                take(spent)
            except Exception:  # noqa: BLE001 - who counts must not break what is counted
                _LOG.exception("what a request has used could not be counted")
