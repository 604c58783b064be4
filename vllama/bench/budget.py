"""What the front end may cost, held against what was measured. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from vllama.bench.figures import Figures, Spread, figures, ratios
from vllama.bench.gate import GateVerdict
from vllama.bench.samples import Leg
from vllama.bench.tables import Table, milliseconds

TOKENS_RATIO: Final = 0.99
ADDED_FIRST_TOKEN: Final = 0.0005
"""Seconds, p50 at one client."""
EVENTS_PER_CORE: Final = 30_000
MEMORY: Final = 80_000_000
"""Bytes of the front end's resident memory."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Both ways at one number of clients."""

    clients: int
    direct: Figures
    through: Figures
    tokens_ratio: Spread
    """Over the rounds of through / direct, each pair measured one after the other."""
    added_p50: float
    added_p99: float
    """Seconds to the first token, through less direct."""


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


def compare(direct: Sequence[Leg], through: Sequence[Leg]) -> Compared:
    """The same rounds both ways, at one number of clients."""
    here, there = figures(direct), figures(through)
    (ratio,) = ratios([*direct, *through], here.target)
    first, other = here.first, there.first
    return Compared(
        clients=here.clients,
        direct=here,
        through=there,
        tokens_ratio=ratio.tokens_per_second or Spread(0.0, 0.0, 0.0),
        added_p50=other.p50 - first.p50 if first and other else 0.0,
        added_p99=other.p99 - first.p99 if first and other else 0.0,
    )


def verdicts(compared: Sequence[Compared], front_end: FrontEnd | None) -> list[GateVerdict]:
    """The front end's budget against what was measured."""
    found = [
        GateVerdict(
            f"tokens/s at {row.clients} clients",
            f"{row.tokens_ratio.median:.3f} of the bare engine's",
            f">= {TOKENS_RATIO}",
            row.tokens_ratio.median >= TOKENS_RATIO,
        )
        for row in compared
    ]
    alone = next((row for row in compared if row.clients == 1), None)
    if alone is not None:
        met = alone.added_p50 <= ADDED_FIRST_TOKEN
        wanted = f"<= {milliseconds(ADDED_FIRST_TOKEN)}"
        found.append(GateVerdict("added to the first token, p50", milliseconds(alone.added_p50), wanted, met))
    if front_end is not None:
        rate, memory = front_end.events_per_core, front_end.memory
        wanted = f">= {EVENTS_PER_CORE:,}"
        found.append(GateVerdict("token events/s on one core", f"{rate:,.0f}", wanted, rate >= EVENTS_PER_CORE))
        wanted = f"<= {MEMORY / 1e6:.0f} MB"
        found.append(GateVerdict("memory of the front end", f"{memory / 1e6:.0f} MB", wanted, memory <= MEMORY))
    failed = sum(row.direct.errors + row.through.errors for row in compared)
    return [*found, GateVerdict("failed requests", str(failed), "0", failed == 0)]


def table(compared: Sequence[Compared]) -> Table:
    """Head and rows for people."""
    head = ["CLIENTS", "DIRECT TOK/S", "THROUGH TOK/S", "RATIO", "SPREAD", "TTFT P50", "ADDED P50", "ADDED P99"]
    rows = [
        [
            str(row.clients),
            f"{row.direct.tokens_per_second.median:,.0f}",
            f"{row.through.tokens_per_second.median:,.0f}",
            f"{row.tokens_ratio.median:.3f}",
            f"{row.tokens_ratio.low:.2f}-{row.tokens_ratio.high:.2f}",
            milliseconds(row.direct.first.p50) if row.direct.first else "-",
            milliseconds(row.added_p50),
            milliseconds(row.added_p99),
            str(row.direct.errors + row.through.errors),
        ]
        for row in compared
    ]
    return [*head, "FAILED"], rows


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
