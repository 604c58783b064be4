"""Figures as tables for people: head and rows of words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vllama.bench.figures import Figures, Percentiles, Ratio, Spread
from vllama.bench.samples import Leg, Memory

Table = tuple[list[str], list[list[str]]]


def speeds(rows: Sequence[Figures]) -> Table:
    """How much is done in a second: medians over the rounds, and the smallest and largest."""
    head = ["CLIENTS", "TARGET", "REQ/S", "SPREAD", "TOK/S", "SPREAD", "CPU/TOK", "FAILED"]
    return head, [
        [
            str(row.clients),
            row.target,
            f"{row.requests_per_second.median:.2f}",
            _range(row.requests_per_second, 2),
            f"{row.tokens_per_second.median:,.1f}",
            _range(row.tokens_per_second, 1),
            f"{row.cpu_per_token.median * 1e6:,.0f} us" if row.cpu_per_token else "-",
            str(row.errors),
        ]
        for row in rows
    ]


def waits(rows: Sequence[Figures]) -> Table:
    """How long people wait: for the first token, from one to the next, for the whole answer."""
    head = ["CLIENTS", "TARGET", "TTFT P50", "P95", "P99", "ITL P50", "P95", "P99", "TOTAL P50", "P95", "P99"]
    return head, [
        [str(row.clients), row.target, *_times(row.first), *_times(row.gap), *_times(row.total)] for row in rows
    ]


def against(ratios: Sequence[Ratio], first: str) -> Table:
    """Each target over the first, in percent, with the smallest and largest round."""
    head = ["CLIENTS", f"OVER {first.upper()}", "TOK/S", "SPREAD", "TTFT P50", "SPREAD"]
    return head, [
        [str(ratio.clients), ratio.target, *_share(ratio.tokens_per_second), *_share(ratio.first)] for ratio in ratios
    ]


def memories(memory: Mapping[str, Memory]) -> Table:
    """The most that each target held."""
    gpus = any(one.gpus for one in memory.values())
    head = ["TARGET", "MEMORY", *(["GPUS"] if gpus else [])]
    return head, [
        [name, _gigabytes(one.processes), *([_gigabytes(one.gpus)] if gpus else [])] for name, one in memory.items()
    ]


def errors(legs: Iterable[Leg]) -> Mapping[str, int]:
    """What went wrong, and how often."""
    counts: dict[str, int] = {}
    for leg in legs:
        for sample in leg.samples:
            if sample.error:
                what = f"{leg.target}: {sample.error}"
                counts[what] = counts.get(what, 0) + 1
    return counts


def milliseconds(seconds: float) -> str:
    """``12.3 ms``, without digits that say nothing."""
    value = seconds * 1e3
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def _times(values: Percentiles | None) -> list[str]:
    if values is None:
        return ["-", "-", "-"]
    return [milliseconds(value) for value in (values.p50, values.p95, values.p99)]


def _range(values: Spread, digits: int) -> str:
    return f"{values.low:,.{digits}f}-{values.high:,.{digits}f}"


def _share(values: Spread | None) -> list[str]:
    if values is None:
        return ["-", "-"]
    return [f"{values.median:.3f}", f"{values.low:.3f}-{values.high:.3f}"]


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
