"""What vLLama costs: the same work sent to an engine directly and through us, in one run, turn by turn.

A machine's speed drifts while one measures; so each round asks both ways one after the other, the order changes from
round to round, and only ratios of neighbours count.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import orjson
import psutil

from vllama.bench.drive import connect, drive, fetch
from vllama.bench.report import Compared, FrontEnd, compare
from vllama.bench.samples import Leg, Target
from vllama.bench.stand import Stand
from vllama.bench.workload import Workload

_ENOUGH = 8  # requests in a leg at least, so that one slow answer is not the whole figure

Progress = Callable[[str, int, int], None]
"""What is going on, how many legs are done, of how many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    clients: tuple[int, ...] = (1, 5, 10, 50)
    rounds: int = 5
    requests: int = 2
    """Of each client in a leg, more where there are few clients."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was measured."""

    compared: list[Compared]
    legs: list[Leg]
    front_end: FrontEnd | None


async def measure(stand: Stand, work: Workload, plan: Plan, progress: Progress) -> Outcome:
    """Measure both ways. Raises NotFound when the engine can't be asked."""
    direct = Target("engine", stand.direct, "openai", await _served_name(stand.direct))
    through = Target("vLLama", stand.through, "ollama", stand.model)
    legs: list[Leg] = []
    meter = _Meter(stand.pid) if stand.pid is not None else None
    total = 2 * len(plan.clients) * plan.rounds
    async with AsyncExitStack() as stack:
        sessions = {target.name: await stack.enter_async_context(connect(target)) for target in (direct, through)}
        for target in (direct, through):  # connections, caches and code paths are warm before anything counts
            progress(f"warming up {target.name}", 0, total)
            await drive(sessions[target.name], target, work, clients=max(plan.clients), requests=1)
        for round_ in range(plan.rounds):
            for clients in plan.clients:
                requests = max(plan.requests, -(-_ENOUGH // clients))
                for target in (direct, through) if round_ % 2 == 0 else (through, direct):
                    progress(f"round {round_ + 1} of {plan.rounds}: {clients} clients, {target.name}", len(legs), total)
                    before = meter.cpu() if meter else 0.0
                    leg = await drive(sessions[target.name], target, work, clients=clients, requests=requests)
                    legs.append(leg)
                    if meter and target is through and clients == max(plan.clients):
                        meter.count(leg, before)
    rows = [
        compare(
            clients,
            [leg for leg in legs if leg.clients == clients and leg.target == direct.name],
            [leg for leg in legs if leg.clients == clients and leg.target == through.name],
        )
        for clients in plan.clients
    ]
    return Outcome(rows, legs, meter.figures() if meter else None)


async def _served_name(address: str) -> str:
    """How the bare engine calls its model."""
    answer = orjson.loads(await fetch(Target("engine", address, "openai", ""), "/v1/models"))
    return str(answer["data"][0]["id"])


class _Meter:
    """CPU time and memory of the front end while it works."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._events = 0
        self._seconds = 0.0
        self._memory = 0

    def cpu(self) -> float:
        """User and system seconds so far."""
        times = self._process.cpu_times()
        return times.user + times.system

    def count(self, leg: Leg, before: float) -> None:
        """Add one leg."""
        self._events += sum(answer.tokens for answer in leg.answers)
        self._seconds += self.cpu() - before
        self._memory = max(self._memory, self._process.memory_info().rss)

    def figures(self) -> FrontEnd:
        """Over all legs."""
        return FrontEnd(self._events, self._seconds, self._memory)
