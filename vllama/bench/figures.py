"""From samples to figures: percentiles, medians over the rounds, ratios of neighbours. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from vllama.bench.samples import Leg, Sample


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the rounds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of single values; seconds."""

    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One target at one number of clients, over all rounds."""

    target: str
    clients: int
    requests: int
    errors: int
    requests_per_second: Spread
    tokens_per_second: Spread
    """Generated ones, by the server's count."""
    tokens_in: float
    """Of a prompt, on average."""
    tokens_out: float
    """Of an answer, on average."""
    first: Percentiles | None
    """Time to the first token (TTFT); None where nothing was streamed."""
    gap: Percentiles | None
    """Between two pieces of text (ITL)."""
    per_token: Percentiles | None
    """Of each request's mean time of a token after the first (TPOT)."""
    total: Percentiles | None
    """Of whole requests; None when all failed."""
    cpu_per_token: Spread | None
    """Seconds of the processes at the address; None where they are elsewhere."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A target against the first one at the same number of clients: each round's legs against their neighbours."""

    target: str
    clients: int
    tokens_per_second: Spread | None
    """None where one of both made nothing."""
    first: Spread | None
    """Of the median TTFT of each round; None where nothing was streamed."""


def percentile(values: Iterable[float], share: float) -> float:
    """``share`` (0 to 1) of the values are not above it; between two ranks on the line between them, as numpy and
    ``vllm bench serve`` count. 0 of nothing.
    """
    ordered = sorted(values)
    if not ordered:
        return 0.0
    place = min(max(share, 0.0), 1.0) * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    low, high = ordered[below], ordered[above]
    # not low + (high - low) * part: rounding would carry it past its neighbours
    return min(max(low * (1 - (place - below)) + high * (place - below), low), high)


def percentiles(values: Sequence[float]) -> Percentiles | None:
    """None of nothing."""
    if not values:
        return None
    return Percentiles(statistics.fmean(values), *(percentile(values, share) for share in (0.5, 0.95, 0.99)))


def spread(values: Sequence[float]) -> Spread:
    """Median, smallest and largest; zeros of nothing."""
    if not values:
        return Spread(0.0, 0.0, 0.0)
    return Spread(statistics.median(values), min(values), max(values))


def figures(legs: Sequence[Leg]) -> Figures:
    """All rounds of one target at one number of clients; there is at least one."""
    samples = [sample for leg in legs for sample in leg.samples]
    good = [sample for sample in samples if not sample.error]
    costs = [cost for leg in legs if (cost := leg.cpu_per_token) is not None]
    return Figures(
        target=legs[0].target,
        clients=legs[0].clients,
        requests=len(samples),
        errors=len(samples) - len(good),
        requests_per_second=spread([leg.requests_per_second for leg in legs]),
        tokens_per_second=spread([leg.tokens_per_second for leg in legs]),
        tokens_in=statistics.fmean(sample.tokens_in for sample in good) if good else 0.0,
        tokens_out=statistics.fmean(sample.tokens_out for sample in good) if good else 0.0,
        first=percentiles([sample.first for sample in good if sample.first is not None]),
        gap=percentiles([gap for sample in good for gap in sample.gaps]),
        per_token=percentiles([each for sample in good if (each := sample.per_token) is not None]),
        total=percentiles([sample.total for sample in good]),
        cpu_per_token=spread(costs) if costs else None,
    )


def table_of(legs: Sequence[Leg]) -> list[Figures]:
    """A row for each number of clients and target; targets in the order in which they were first measured."""
    targets = list(dict.fromkeys(leg.target for leg in legs))
    groups: dict[tuple[int, int], list[Leg]] = {}
    for leg in legs:
        groups.setdefault((leg.clients, targets.index(leg.target)), []).append(leg)
    return [figures(groups[key]) for key in sorted(groups)]


def ratios(legs: Sequence[Leg], first: str) -> list[Ratio]:
    """Every other target against ``first``, round by round, so that a drift of the machine cancels."""
    order = list(dict.fromkeys(leg.target for leg in legs))
    found: dict[tuple[int, int, str], Leg] = {(leg.clients, leg.round, leg.target): leg for leg in legs}
    pairs: dict[tuple[int, str], list[tuple[Leg, Leg]]] = {}
    for (clients, round_, target), leg in found.items():
        base = found.get((clients, round_, first))
        if target != first and base is not None:
            pairs.setdefault((clients, target), []).append((leg, base))
    return [
        Ratio(target, clients, _quotients(both, _speed), _quotients(both, _first))
        for (clients, target), both in sorted(pairs.items(), key=lambda item: (item[0][0], order.index(item[0][1])))
    ]


def _quotients(pairs: Sequence[tuple[Leg, Leg]], of: Callable[[Leg], float]) -> Spread | None:
    found = [of(leg) / of(base) for leg, base in pairs if of(leg) and of(base)]
    return spread(found) if found else None


def _speed(leg: Leg) -> float:
    return leg.tokens_per_second


def _first(leg: Leg) -> float:
    return percentile(_firsts(leg.samples), 0.5)


def _firsts(samples: Iterable[Sample]) -> list[float]:
    return [sample.first for sample in samples if sample.first is not None and not sample.error]
