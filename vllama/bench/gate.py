"""Whether requests are computed together: many clients must get much more done than one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vllama.bench.figures import Figures

ONE: Final = 1
MANY: Final = 16
TIMES: Final = 4.0
"""Requests a second at ``MANY`` clients over those at ``ONE``, at least."""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """One target figure, and whether it is met."""

    what: str
    measured: str
    wanted: str
    met: bool


def with_gate(clients: Sequence[int]) -> tuple[int, ...]:
    """The numbers of clients, with those that the gate looks at."""
    return tuple(sorted({*clients, ONE, MANY}))


def gate(rows: Sequence[Figures], target: str) -> GateVerdict:
    """Of ``target``, which was measured at both numbers of clients; failed requests count as none."""
    rates = {row.clients: row.requests_per_second.median for row in rows if row.target == target}
    alone, together = rates.get(ONE, 0.0), rates.get(MANY, 0.0)
    times = together / alone if alone else 0.0
    return GateVerdict(
        what=f"{target}: requests/s at {MANY} clients",
        measured=f"{times:.1f} times those at {ONE}",
        wanted=f">= {TIMES:g} times",
        met=times >= TIMES,
    )
