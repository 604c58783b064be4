"""In which order legs are measured. Pure.

A machine's speed drifts while one measures, and a target leaves something to the next one: warm caches, threads that
still spin. So each round asks every target once at each number of clients, in an order in which each target follows
every other one equally often (E. J. Williams, 1949), and only legs of one round are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_ENOUGH: Final = 8
"""Requests in a leg at least, so that one slow answer is not the whole figure."""


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """How much is measured."""

    clients: tuple[int, ...] = (1, 5, 10, 50)
    rounds: int = 3
    requests: int = 2
    """Of each client in a leg, more where there are few clients."""
    pause: float = 0.5
    """Seconds before each leg: the threads of the target before have gone to sleep by then."""

    def in_leg(self, clients: int) -> int:
        """Requests of all clients together."""
        return max(clients * self.requests, _ENOUGH)


@dataclass(frozen=True, slots=True)
class LegTurn:
    """One leg to come."""

    round: int
    clients: int
    target: str
    requests: int


def turns(plan: BenchPlan, targets: Sequence[str]) -> Iterator[LegTurn]:
    """All legs in order. At each number of clients the balance is exact after ``len(orders(len(targets)))`` rounds."""
    rows = orders(len(targets))
    for round_ in range(plan.rounds):
        for number, clients in enumerate(plan.clients):
            for which in rows[(round_ + number) % len(rows)]:
                yield LegTurn(round_, clients, targets[which], plan.in_leg(clients))


def orders(count: int) -> tuple[tuple[int, ...], ...]:
    """Orders of ``count`` things: over all of them each thing has each place, and follows each other, equally often.

    An even number of things needs as many orders, an odd one twice as many. As a rule an order begins with the thing
    that the one before it ended with, so that nothing follows another where two orders meet.
    """
    if count < 2:
        return (tuple(range(count)),)
    # 0, 1, -1, 2, -2 ...: all differences between neighbours are different ones
    base = [(place + 1) // 2 * (1 if place % 2 else -1) % count for place in range(count)]
    if count % 2:
        step = base[-1]
        forward = [tuple((one + step * row) % count for one in base) for row in range(count)]
        return (*forward, *(row[::-1] for row in reversed(forward)))
    # an even base is its own mirror image: the order that begins with its last is it backwards
    half = count // 2
    starts = [start for first in range(half) for start in (first, first + half)]
    return tuple(tuple((one + start) % count for one in base) for start in starts)
