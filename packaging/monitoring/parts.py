"""What a dashboard is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

ON: Final = 'instance=~"$instance"'
OF: Final = f'{ON},model=~"$model"'
PHASES: Final = {
    "absent": 0, "planning": 1, "starting": 2, "warming": 3, "waking": 4, "ready": 5, "dozing": 6, "asleep": 7,
    "draining": 8, "stopping": 9, "failing": 10, "backoff": 11, "broken": 12,
}  # fmt: skip


@dataclass(frozen=True)
class Query:
    """One line of a panel."""

    expression: str
    legend: str = "__auto"


@dataclass(frozen=True)
class Panel:
    """One picture."""

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    about: str = ""
    steps: Sequence[tuple[float | None, str]] = ()
    """From which value on which colour."""
    stacked: bool = False
    maximum: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels under a headline."""

    title: str
    panels: Sequence[Panel] = field(default_factory=tuple)
