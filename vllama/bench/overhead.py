"""What vLLama costs: the same work sent to an engine directly and through us, in one run, turn by turn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psutil

from vllama.bench.budget import Compared, FrontEnd, compare
from vllama.bench.drive import connect, drive
from vllama.bench.measure import WARM_UP
from vllama.bench.rounds import Plan, turns
from vllama.bench.samples import Leg, Target
from vllama.bench.stand import Stand
from vllama.bench.targets import Place, find
from vllama.bench.workload import Workload

Progress = Callable[[str, int, int], None]
"""What is going on, how many legs are done, of how many."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """All that was measured."""

    compared: list[Compared]
    legs: list[Leg]
    front_end: FrontEnd | None


async def measure_overhead(stand: Stand, work: Workload, plan: Plan, progress: Progress) -> Overhead:
    """Measure both ways. Raises NotFound when the engine can't be asked."""
    legs: list[Leg] = []
    meter = _Meter(stand.pid) if stand.pid is not None else None
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(connect(stand.direct))
        ours = await stack.enter_async_context(connect(stand.through))
        direct = await find(bare, Place("engine", stand.direct, "openai"))
        through = Target("vLLama", stand.through, "ollama", stand.model)
        sessions, targets = {"engine": bare, "vLLama": ours}, {"engine": direct, "vLLama": through}
        order = list(turns(plan, list(targets)))
        most = max(plan.clients)
        places = {name: place for place, name in enumerate(targets)}
        for name, target in targets.items():  # connections, caches and code paths are warm before anything counts
            progress(f"warming up {name}", 0, len(order))
            await drive(sessions[name], target, work, clients=most, requests=most, round_=WARM_UP, place=places[name])
        for turn in order:
            name = turn.target
            progress(f"round {turn.round + 1} of {plan.rounds}: {turn.clients} clients, {name}", len(legs), len(order))
            before = meter.cpu() if meter else 0.0
            leg = await drive(
                sessions[name],
                targets[name],
                work,
                clients=turn.clients,
                requests=turn.requests,
                round_=turn.round,
                place=places[name],
            )
            legs.append(leg)
            if meter and name == through.name and turn.clients == most:
                meter.count(leg, before)
    rows = [
        compare(
            [leg for leg in legs if leg.clients == clients and leg.target == direct.name],
            [leg for leg in legs if leg.clients == clients and leg.target == through.name],
        )
        for clients in plan.clients
    ]
    return Overhead(rows, legs, meter.figures() if meter else None)


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
        self._events += sum(sample.tokens_out for sample in leg.samples)
        self._seconds += self.cpu() - before
        self._memory = max(self._memory, self._process.memory_info().rss)

    def figures(self) -> FrontEnd:
        """Over all legs."""
        return FrontEnd(self._events, self._seconds, self._memory)
