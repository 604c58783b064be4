"""Counts requests for the service level objectives, and keeps the counts over restarts.

Time is our own: it runs with the machine's clock since boot, never goes back, and goes on where the file left off. So a
clock that is set back changes nothing, and one that was years ahead for a while costs at most the old counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vllama.config.schema import Slo
from vllama.observe import slo_file
from vllama.observe.seldom import Seldom
from vllama.observe.slo import SEVERITIES, Budget, Objective, budget_of, objectives, succeeded
from vllama.observe.slo_file import Kept
from vllama.observe.spent import Spent
from vllama.observe.windows import Windows

FILE: Final = "slos.json"
"""In the state directory."""
_PAUSE: Final = 30.0
"""Seconds between two writes: a service that is killed loses at most these counts."""
_LOG: Final = logging.getLogger("vllama.slo")


def _since_boot() -> float:
    """Seconds, those of a machine that sleeps included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Slos(Collector):
    """Belongs to the event loop's thread; only the file is read and written in others."""

    def __init__(
        self, file: Path, *, clock: Callable[[], float] = _since_boot, wall: Callable[[], float] = time.time
    ) -> None:
        self._file = file
        self._clock = clock
        self._wall = wall
        self._ahead = 0.0
        """Our time is the clock's and this."""
        self._tracks: tuple[_Track, ...] = ()
        self._by_model: dict[str, tuple[_Track, ...]] = {}
        """Of the models that requests came to."""
        self._kept: dict[str, Kept] = {}
        """What the file had of objectives that no request has reached since."""
        self._changed = False
        self._seldom = Seldom(_LOG)

    def open(self) -> None:
        """Read the file, in any thread. A broken one is put aside, and counting begins again."""
        at, self._kept = slo_file.read(self._file)
        self._ahead = max(self._wall(), at) - self._clock()

    def follow(self, slos: Mapping[str, Slo]) -> None:
        """Count for these from now on. What was counted stays if the same requests count as before."""
        before = {(track.objective.name, track.objective.counts): track for track in self._tracks}
        now = self._now()
        tracks = []
        for one in objectives(slos):
            known = before.get((one.name, one.counts))
            tracks.append(known.under(one) if known is not None else self._restored(one, now))
        self._changed = bool(self._tracks or tracks)
        self._tracks = tuple(tracks)
        self._by_model.clear()

    def take(self, spent: Spent) -> None:
        """Count a request that has ended."""
        if not self._tracks or not spent.model or (success := succeeded(spent)) is None:
            return
        now = self._now()
        for track in self._tracks_of(spent.model):
            if (good := track.objective.judge(spent, success)) is not None:
                track.count(now, bad=not good)
                self._changed = True

    def budgets(self) -> list[Budget]:
        """All objectives as they are kept now."""
        now = self._now()
        return [budget_of(track.objective, track.windows, now) for track in self._tracks]

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        labels = ("slo", "objective")
        counted = CounterMetricFamily("vllama_slo_requests", "Requests that count for the objective.", labels=labels)
        bad = CounterMetricFamily("vllama_slo_bad_requests", "Requests that missed the objective.", labels=labels)
        target = GaugeMetricFamily("vllama_slo_target", "Share of requests that must be good.", labels=labels)
        period = GaugeMetricFamily("vllama_slo_period_seconds", "Time over which they are counted.", labels=labels)
        left = GaugeMetricFamily(
            "vllama_slo_budget_left", "Share of the error budget that is left; negative if overspent.", labels=labels
        )
        burn = GaugeMetricFamily(
            "vllama_slo_burn_rate",
            "How fast the error budget is spent; 1 spends it exactly within the period.",
            labels=(*labels, "window"),
        )
        burning = GaugeMetricFamily(
            "vllama_slo_burning",
            "1 while the budget burns so fast that someone should be woken (page), or look at it soon (ticket).",
            labels=(*labels, "severity"),
        )
        for track, budget in zip(self._tracks, self.budgets(), strict=True):
            one = track.objective
            names = (one.name, one.kind)
            counted.add_metric(names, track.requests)
            bad.add_metric(names, track.bad)
            target.add_metric(names, one.target)
            period.add_metric(names, one.over)
            left.add_metric(names, budget.left)
            for window, rate in budget.burn.items():
                burn.add_metric((*names, window), rate)
            for severity in SEVERITIES:
                burning.add_metric((*names, severity), float(budget.burning(severity)))
        if self._tracks:
            yield from (counted, bad, target, period, left, burn, burning)

    async def keep(self) -> None:
        """Write the counts down from time to time, until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE)
            await self.save()

    async def save(self) -> None:
        """Write the counts down if there are new ones. A disk that takes nothing is logged."""
        if not self._changed:
            return
        self._changed = False
        now = self._now()
        copies = [(track.objective, track.windows.copy()) for track in self._tracks]
        try:
            await asyncio.to_thread(slo_file.write, self._file, now, copies)
        except OSError as error:
            self._changed = True
            self._seldom.warn("write", "the counts of the objectives could not be kept: %s", error.strerror or error)

    def _now(self) -> float:
        return self._clock() + self._ahead

    def _tracks_of(self, model: str) -> tuple[_Track, ...]:
        found = self._by_model.get(model)
        if found is None:
            found = self._by_model[model] = tuple(track for track in self._tracks if track.objective.concerns(model))
        return found

    def _restored(self, one: Objective, now: float) -> _Track:
        kept = self._kept.pop(one.name + " " + one.counts, None)
        return _Track(one, kept.windows(now) if kept is not None else Windows())


class _Track:
    """An objective and its counts; the totals are since the start, as Prometheus wants them."""

    __slots__ = ("bad", "objective", "requests", "windows")

    def __init__(self, objective: Objective, windows: Windows) -> None:
        self.objective = objective
        self.windows = windows
        self.requests = self.bad = 0

    def count(self, now: float, *, bad: bool) -> None:
        self.windows.add(now, bad=bad)
        self.requests += 1
        self.bad += bad

    def under(self, objective: Objective) -> _Track:
        """The same counts for another target or period."""
        self.objective = objective
        return self
