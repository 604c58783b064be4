"""A histogram for the hot path.

``prometheus_client``'s own takes a lock and walks its buckets at every observation (3 us); a front end that passes
15,000 events a second on one thread needs neither.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client.core import HistogramMetricFamily


class Latency:
    """Seconds in buckets, by model."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = tuple(bounds)
        self._series: dict[str, Series] = {}

    def of(self, model: str) -> Series:
        """The series of one model; keep it while a request runs."""
        series = self._series.get(model)
        if series is None:
            series = self._series[model] = Series(self._bounds)
        return series

    def family(self) -> HistogramMetricFamily:
        """What a scrape reads."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=("model",))
        for model, series in self._series.items():
            family.add_metric((model,), series.buckets(), series.total)
        return family


class Series:
    """The observations of one model."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, ``+Inf`` last."""
        found, below = [], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            below += count
            found.append((bound, float(below)))
        return found
