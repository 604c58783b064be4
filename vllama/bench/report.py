"""From samples to figures and from figures to words. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from vllama.bench.samples import Leg

TOKENS_RATIO: Final = 0.98
ADDED_FIRST_TOKEN: Final = 0.001
"""Seconds, p50 at one client."""
EVENTS_PER_CORE: Final = 15_000
MEMORY: Final = 80_000_000
"""Bytes of the front end's resident memory."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One target at one number of clients, over all rounds. Seconds and tokens a second."""

    first_p50: float
    first_p99: float
    tokens_per_second: float
    """Median over the rounds."""
    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class Compared:
    """Both ways at one number of clients."""

    clients: int
    direct: Figures
    through: Figures
    tokens_ratio: float
    """Median over rounds of through / direct, each pair measured one after the other."""
    tokens_spread: tuple[float, float]
    """Smallest and largest of these ratios."""
    added_p50: float
    added_p99: float


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """What the front end's process used while it carried the most clients, its requests' own cost included."""

    events: int
    """Tokens that passed through."""
    cpu_seconds: float
    memory: int
    """Largest resident set seen, in bytes."""

    @property
    def microseconds_per_event(self) -> float:
        """CPU time."""
        return self.cpu_seconds / self.events * 1e6 if self.events else 0.0

    @property
    def events_per_core(self) -> float:
        """Token events that one fully used core would carry in a second."""
        return self.events / self.cpu_seconds if self.cpu_seconds else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target figure, and whether it is met."""

    what: str
    measured: str
    wanted: str
    met: bool


def percentile(values: Iterable[float], share: float) -> float:
    """Nearest-rank percentile; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def figures(legs: Sequence[Leg]) -> Figures:
    """All rounds of one target at one number of clients."""
    answers = [answer for leg in legs for answer in leg.answers]
    good = [answer.first for answer in answers if not answer.error]
    return Figures(
        first_p50=percentile(good, 0.5),
        first_p99=percentile(good, 0.99),
        tokens_per_second=statistics.median(leg.tokens_per_second for leg in legs),
        requests=len(answers),
        errors=len(answers) - len(good),
    )


def compare(clients: int, direct: Sequence[Leg], through: Sequence[Leg]) -> Compared:
    """The same rounds both ways."""
    here, there = figures(direct), figures(through)
    ratios = [
        t.tokens_per_second / d.tokens_per_second for d, t in zip(direct, through, strict=True) if d.tokens_per_second
    ]
    return Compared(
        clients=clients,
        direct=here,
        through=there,
        tokens_ratio=statistics.median(ratios) if ratios else 0.0,
        tokens_spread=(min(ratios, default=0.0), max(ratios, default=0.0)),
        added_p50=there.first_p50 - here.first_p50,
        added_p99=there.first_p99 - here.first_p99,
    )


def verdicts(compared: Sequence[Compared], front_end: FrontEnd | None) -> list[Verdict]:
    """The targets of the front end's budget against what was measured."""
    found = [
        Verdict(
            f"tokens/s at {row.clients} clients",
            f"{row.tokens_ratio:.3f} of the bare engine's",
            f">= {TOKENS_RATIO}",
            row.tokens_ratio >= TOKENS_RATIO,
        )
        for row in compared
    ]
    alone = next((row for row in compared if row.clients == 1), None)
    if alone is not None:
        met = alone.added_p50 <= ADDED_FIRST_TOKEN
        found.append(
            Verdict("added to the first token, p50", _ms(alone.added_p50), f"<= {_ms(ADDED_FIRST_TOKEN)}", met)
        )
    if front_end is not None:
        rate, memory = front_end.events_per_core, front_end.memory
        wanted = f">= {EVENTS_PER_CORE:,}"
        found.append(Verdict("token events/s on one core", f"{rate:,.0f}", wanted, rate >= EVENTS_PER_CORE))
        wanted = f"<= {MEMORY / 1e6:.0f} MB"
        found.append(Verdict("memory of the front end", f"{memory / 1e6:.0f} MB", wanted, memory <= MEMORY))
    failed = sum(row.direct.errors + row.through.errors for row in compared)
    return [*found, Verdict("failed requests", str(failed), "0", failed == 0)]


def errors(legs: Iterable[Leg]) -> Mapping[str, int]:
    """What went wrong, and how often."""
    told: dict[str, int] = {}
    for leg in legs:
        for answer in leg.answers:
            if answer.error:
                what = f"{leg.target}: {answer.error}"
                told[what] = told.get(what, 0) + 1
    return told


def table(compared: Sequence[Compared]) -> tuple[list[str], list[list[str]]]:
    """Head and rows for people."""
    head = [
        "CLIENTS",
        "DIRECT TOK/S",
        "THROUGH TOK/S",
        "RATIO",
        "SPREAD",
        "TTFT P50",
        "ADDED P50",
        "ADDED P99",
        "FAILED",
    ]
    rows = [
        [
            str(row.clients),
            f"{row.direct.tokens_per_second:,.0f}",
            f"{row.through.tokens_per_second:,.0f}",
            f"{row.tokens_ratio:.3f}",
            f"{row.tokens_spread[0]:.2f}-{row.tokens_spread[1]:.2f}",
            _ms(row.direct.first_p50),
            _ms(row.added_p50),
            _ms(row.added_p99),
            str(row.direct.errors + row.through.errors),
        ]
        for row in compared
    ]
    return head, rows


def as_json(compared: Sequence[Compared], front_end: FrontEnd | None, legs: Iterable[Leg]) -> dict[str, Any]:
    """Everything, raw samples included."""
    cost = None
    if front_end is not None:
        cost = {
            **asdict(front_end),
            "events_per_core": front_end.events_per_core,
            "microseconds_per_event": front_end.microseconds_per_event,
        }
    return {
        "compared": [asdict(row) for row in compared],
        "front_end": cost,
        "verdicts": [asdict(verdict) for verdict in verdicts(compared, front_end)],
        "legs": [asdict(leg) for leg in legs],
    }


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
