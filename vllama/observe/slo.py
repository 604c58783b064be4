"""Service level objectives: which requests count, what is left of an error budget, how fast it burns. Pure.

An error budget is the share of requests that may be bad: 0.1 % of them for ``success: 99.9 %``. A burn rate of 1 spends
it exactly within ``over``. What a client did wrong (4xx), gave up (499) or a manager cancelled counts neither way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from vllama.config.schema import Slo
from vllama.models.names import parse_name
from vllama.observe.spent import Spent
from vllama.observe.windows import Windows

Kind = Literal["ttft", "success"]

BURN_WINDOWS: Final = {
    "5m": 300.0, "30m": 1800.0, "1h": 3600.0, "2h": 7200.0, "6h": 21600.0, "1d": 86400.0, "3d": 259200.0
}  # fmt: skip
"""Seconds by name."""
SEVERITIES: Final = ("page", "ticket")
_SHOWN_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Objective:
    """One line of an SLO."""

    name: str
    kind: Kind
    models: frozenset[str]
    """Short names; empty: all models."""
    target: float
    """Share of the requests that must be good; less than 1."""
    over: float
    """Seconds."""
    threshold: float | None = None
    """Seconds to the first token; None for ``success``."""

    @property
    def budget(self) -> float:
        """Share of the requests that may be bad."""
        return 1 - self.target

    @property
    def counts(self) -> str:
        """What decides whether a request counts and is good: counts of another text are not comparable."""
        return f"{self.kind} {self.threshold} {' '.join(sorted(self.models))}"

    def concerns(self, model: str) -> bool:
        """Whether requests to this model (a short name) count."""
        return not self.models or model in self.models

    def judge(self, spent: Spent, success: bool) -> bool | None:
        """Whether a request to one of the models was good; None: it does not count. ``success``: of ``succeeded``."""
        if self.threshold is None:
            return success
        return spent.first_token <= self.threshold if success and spent.first_token is not None else None


def succeeded(spent: Spent) -> bool | None:
    """True: answered. False: failed by our doing. None: by the client's doing, or a manager's."""
    return {"ok": True, "failed": False}.get(spent.outcome)


def objectives(slos: Mapping[str, Slo]) -> tuple[Objective, ...]:
    """The objectives of the configuration, in its order."""
    return tuple(one for name, slo in slos.items() for one in _of(name, slo))


def _of(name: str, slo: Slo) -> Iterator[Objective]:
    models = frozenset(found.short for text in slo.models if (found := parse_name(text)) is not None)
    if slo.ttft is not None:
        yield Objective(name, "ttft", models, slo.ttft.share, slo.over, slo.ttft.seconds)
    if slo.success is not None:
        yield Objective(name, "success", models, slo.success, slo.over)


@dataclass(frozen=True, slots=True)
class Alert:
    """Fires while both windows burn so fast that ``spent`` of the whole budget goes within the long one.

    The long window says that enough is gone to matter, the short one that it still burns: so the alert ends soon after
    its cause (Google's SRE workbook, chapter 5).
    """

    severity: str
    """One of ``SEVERITIES``: someone is woken, or it can wait for the morning."""
    short: str
    long: str
    spent: float

    def factor(self, objective: Objective) -> float:
        """The burn rate from which it fires.

        At least 1, which spends the budget exactly in time; and low enough to be reached when nearly all are bad.
        """
        wanted = max(self.spent * objective.over / BURN_WINDOWS[self.long], 1.0)
        return round(min(wanted, (1 + objective.budget) / 2 / objective.budget), 6)


ALERTS: Final = (
    Alert("page", "5m", "1h", 0.02),
    Alert("page", "30m", "6h", 0.05),
    Alert("ticket", "2h", "1d", 0.1),
    Alert("ticket", "6h", "3d", 0.1),
)
"""With ``over: 30d`` they fire from burn rates of 14.4, 6, 3 and 1."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How an objective is kept."""

    objective: Objective
    requests: int
    """Those that counted within ``over``."""
    bad: int
    burn: Mapping[str, float]
    """Burn rate by window; 0 without requests."""

    @property
    def left(self) -> float:
        """Share of the error budget that is left; negative when more is spent than there was."""
        return 1 - _rate(self.requests, self.bad, self.objective.budget)

    def burning(self, severity: str) -> bool:
        """Whether an alert of this severity fires."""
        return any(
            min(self.burn[alert.short], self.burn[alert.long]) > alert.factor(self.objective)
            for alert in ALERTS
            if alert.severity == severity
        )

    def shown(self) -> dict[str, Any]:
        """As ``GET /vllama/slos`` sends it."""
        one = self.objective
        known = {"threshold": one.threshold} if one.threshold is not None else {}
        return {
            "name": one.name,
            "objective": one.kind,
            "models": sorted(one.models),
            "target": one.target,
            **known,
            "over": one.over,
            "requests": self.requests,
            "good": self.requests - self.bad,
            "budget_left": round(self.left, _SHOWN_DIGITS),
            "burn": {window: round(rate, _SHOWN_DIGITS) for window, rate in self.burn.items()},
        }


def budget_of(objective: Objective, windows: Windows, now: float) -> Budget:
    """What ``windows`` say at this time."""
    period = windows.count(now, objective.over)
    counts = {name: windows.count(now, seconds) for name, seconds in BURN_WINDOWS.items()}
    burn = {name: _rate(count.all, count.bad, objective.budget) for name, count in counts.items()}
    return Budget(objective, period.all, period.bad, burn)


def _rate(events: int, bad: int, budget: float) -> float:
    return bad / events / budget if events else 0.0
