"""What trying candidates showed, and which one is worth keeping. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vllama.bench.candidates import Candidate
from vllama.bench.figures import Figures
from vllama.bench.tables import Table, milliseconds

LEAST_GAIN: Final = 0.03
"""A smaller gain is not worth one more setting to understand."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate: how fast it was, or why it could not be measured."""

    candidate: Candidate
    rows: tuple[Figures, ...] = ()
    """By clients; empty when it failed."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All trials against the settings that hold."""

    gains: Mapping[str, float]
    """By the candidate's name: the mean, over the numbers of clients, of tokens/s over the baseline's; 1 is equal."""
    drift: float
    """How much the machine itself changed between first and last measuring the baseline: 0.05 is 5 %."""
    best: Trial | None
    """None when no gain is larger than the drift and worth it."""


def speed(trial: Trial, base: Trial) -> float:
    """Geometric mean over the numbers of clients of tokens/s over the base's; 0 when one made nothing."""
    bases = {row.clients: row.tokens_per_second.median for row in base.rows}
    quotients = [
        row.tokens_per_second.median / bases[row.clients] for row in trial.rows if bases.get(row.clients, 0.0) > 0
    ]
    if not quotients or len(quotients) < len(bases) or any(row.errors for row in trial.rows):
        return 0.0
    return math.prod(quotients) ** (1 / len(quotients)) if all(quotients) else 0.0


def judge(first: Trial, trials: Sequence[Trial], last: Trial, again: Sequence[Trial] = ()) -> Judgement:
    """``first`` and ``last``: the current settings, measured before and after the others; ``again``: winners again.

    A machine's speed drifts: gains are relative to the mean of both, and the winner beats the faster one by more than
    they differ. Among many candidates one is always lucky, so for those measured twice the smaller gain counts.
    """
    change = speed(last, first)
    base = math.sqrt(change) if change else 1.0
    speeds = {trial.candidate.name: speed(trial, first) for trial in trials}
    for trial in again:
        speeds[trial.candidate.name] = min(speeds[trial.candidate.name], speed(trial, first))
    gains = {name: found / base for name, found in speeds.items()}
    drift = abs(change - 1) if change else 1.0
    needed = max(1.0, change) * (1 + max(drift, LEAST_GAIN))
    good = [trial for trial in trials if speeds[trial.candidate.name] >= needed]
    best = max(good, key=lambda trial: gains[trial.candidate.name], default=None)
    return Judgement(gains, drift, best)


def to_confirm(first: Trial, trials: Sequence[Trial], last: Trial, again: Sequence[Trial]) -> Candidate | None:
    """Who would win now and was measured only once."""
    best = judge(first, trials, last, again).best
    known = {trial.candidate.name for trial in again}
    return best.candidate if best is not None and best.candidate.name not in known else None


def winners(first: Trial, trials: Sequence[Trial]) -> dict[str, Candidate]:
    """The fastest candidate of each setting that is faster than what holds."""
    found: dict[str, tuple[float, Candidate]] = {}
    for trial in trials:
        gain = speed(trial, first)
        for key in trial.candidate.changes:
            if gain > found.get(key, (1 + LEAST_GAIN, trial.candidate))[0]:
                found[key] = (gain, trial.candidate)
    return {key: candidate for key, (_, candidate) in found.items()}


def table(first: Trial, trials: Sequence[Trial], judgement: Judgement) -> Table:
    """For people: each candidate's speed at each number of clients, and its gain."""
    clients = [row.clients for row in first.rows]
    head = ["SETTING", *(f"TOK/S AT {number}" for number in clients), f"TTFT P50 AT {max(clients)}", "GAIN"]
    rows = []
    for trial in (first, *trials):
        if trial.problem:
            rows.append([trial.candidate.name, *("-" for _ in clients), "-", trial.problem])
            continue
        gain = judgement.gains.get(trial.candidate.name)  # 0: it could not be measured, or not again
        waits = trial.rows[-1].first
        rows.append(
            [
                trial.candidate.name,
                *(f"{row.tokens_per_second.median:,.1f}" for row in trial.rows),
                milliseconds(waits.p50) if waits else "-",
                f"{(gain - 1) * 100:+.1f} %" if gain else "-",
            ]
        )
    return head, rows
