"""In which order legs are measured. Pure.

A machine's speed drifts while one measures. So each round asks every target, one after the other, at each number of
clients; who is first changes from round to round; and only neighbours of one round are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_ENOUGH: Final = 8
"""Requests in a leg at least, so that one slow answer is not the whole figure."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    clients: tuple[int, ...] = (1, 5, 10, 50)
    rounds: int = 3
    requests: int = 2
    """Of each client in a leg, more where there are few clients."""

    def in_leg(self, clients: int) -> int:
        """Requests of all clients together."""
        return max(clients * self.requests, _ENOUGH)


@dataclass(frozen=True, slots=True)
class Turn:
    """One leg to come."""

    round: int
    clients: int
    target: str
    requests: int


def turns(plan: Plan, targets: Sequence[str]) -> Iterator[Turn]:
    """All legs in order."""
    for round_ in range(plan.rounds):
        first = round_ % len(targets)
        order = (*targets[first:], *targets[:first])
        for clients in plan.clients:
            for target in order:
                yield Turn(round_, clients, target, plan.in_leg(clients))
