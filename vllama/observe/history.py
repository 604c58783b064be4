"""The last 15 minutes as points of ten seconds: what the page draws as lines."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from vllama.observe.collectors import EngineSource
from vllama.observe.spent import Spent

STEP: Final = 10.0
"""Seconds of a point."""
KEPT: Final = 90
_MOST: Final = 2000
"""Requests of one step that are looked at for its quantiles."""


@dataclass(frozen=True, slots=True)
class Point:
    """What happened within a step. Requests count, with all their tokens, in the step in which they end."""

    at: float
    """Unix seconds of its end."""
    tokens_per_second: float
    """Generated tokens."""
    requests_per_second: float
    """Those that reached a model, however they ended."""
    waiting: int
    """Requests that wait for an engine, at the end of the step."""
    running: int
    """Requests that use an engine, at the end of the step."""
    ttft_p50: float | None = None
    """Seconds to the first token; None where no answer ended."""
    ttft_p95: float | None = None
    itl_p50: float | None = None
    """Seconds between two tokens of an answer, on average over it."""


class History:
    """Belongs to the event loop."""

    def __init__(self, engines: EngineSource, wall: Callable[[], float] = time.time) -> None:
        self._engines = engines
        self._wall = wall
        self._points: deque[Point] = deque(maxlen=KEPT)
        self._spent: list[Spent] = []
        self._requests = self._tokens = 0
        self._listeners: list[Callable[[Point], object]] = []

    def take(self, spent: Spent) -> None:
        """Count a request that has ended."""
        if not spent.model:
            return
        self._requests += 1
        self._tokens += spent.generated_tokens
        if len(self._spent) < _MOST:
            self._spent.append(spent)

    def points(self) -> tuple[Point, ...]:
        """Oldest first."""
        return tuple(self._points)

    def subscribe(self, take: Callable[[Point], object]) -> Callable[[], None]:
        """Call this with each new point; returns what ends that."""
        self._listeners.append(take)
        return lambda: self._listeners.remove(take)

    async def keep(self) -> None:
        """Add a point for each step, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + STEP, loop.time())
            await asyncio.sleep(due - loop.time())
            self.step()

    def step(self) -> None:
        """End the present step."""
        views = self._engines.snapshot()
        ended, requests, tokens = self._spent, self._requests, self._tokens
        self._spent, self._requests, self._tokens = [], 0, 0
        answered = [spent for spent in ended if spent.outcome == "ok"]
        firsts = [spent.first_token for spent in answered if spent.first_token is not None]
        speeds = [1 / speed for spent in answered if (speed := spent.tokens_per_second)]
        point = Point(
            at=self._wall(),
            tokens_per_second=tokens / STEP,
            requests_per_second=requests / STEP,
            waiting=sum(view.waiting for view in views),
            running=sum(view.leases for view in views),
            ttft_p50=quantile(firsts, 0.5),
            ttft_p95=quantile(firsts, 0.95),
            itl_p50=quantile(speeds, 0.5),
        )
        self._points.append(point)
        for take in tuple(self._listeners):
            take(point)


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which this share of them lies; None without any."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]
