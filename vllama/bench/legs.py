"""Measures legs, turn by turn: the one loop of every kind of measurement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import aiohttp

from vllama.bench.drive import send
from vllama.bench.rounds import BenchPlan, turns
from vllama.bench.samples import Leg, Memory, Target
from vllama.bench.workload import Workload

_WARM_UP: Final = -1
"""The round of the uncounted legs, whose texts differ from those of all counted ones."""
_UNCOUNTED_TOKENS: Final = 8

BodyWriter = Callable[[Workload, str, int], bytes]
"""The request, as JSON, with a number in the leg that a seed names."""


class ProcessMeter(Protocol):
    """Looks at the processes of a target; both return None if they are on another machine."""

    def cpu(self) -> float | None:
        """Seconds of CPU so far."""
        ...

    def memory(self) -> Memory | None:
        """What they have now; may take a while."""
        ...


@dataclass(frozen=True, slots=True)
class Side:
    """A target, or one of several ways to ask it, under the name that its legs get."""

    name: str
    session: aiohttp.ClientSession
    target: Target
    body: BodyWriter
    meter: ProcessMeter | None = None


@dataclass(frozen=True, slots=True)
class LegProgress:
    """Shows how it goes."""

    say: Callable[[str], None]
    """A line that stays."""
    step: Callable[[str, int, int], None]
    """The current step, how many legs are done, of how many."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All legs, and the most memory that each side had, where it could be seen."""

    legs: tuple[Leg, ...]
    memory: Mapping[str, Memory]


async def measure_legs(sides: Sequence[Side], work: Workload, plan: BenchPlan, progress: LegProgress) -> Measured:
    """Warm every side up, then measure all legs in turns.

    Before each leg there is a pause, and one short request that does not count: the first one after others had the
    machine is slower than those that follow it.
    """
    by_name = {side.name: side for side in sides}
    order = list(turns(plan, list(by_name)))
    most = max(plan.clients)
    short = replace(work, max_tokens=min(work.max_tokens, _UNCOUNTED_TOKENS))
    for side in sides:  # connections, caches and code paths are warm before anything counts
        progress.step(f"warming up {side.name}", 0, len(order))
        await _leg(side, short, clients=most, requests=most, round_=_WARM_UP)
    legs: list[Leg] = []
    memory: dict[str, Memory] = {}
    for turn in order:
        side = by_name[turn.target]
        what = f"round {turn.round + 1} of {plan.rounds}: {side.name}, {turn.clients} at once"
        progress.step(_with_last(what, legs), len(legs), len(order))
        await asyncio.sleep(plan.pause)
        uncounted = side.body(short, _seed(turn.round, turn.clients), turn.requests)
        await send(side.session, side.target, short, [uncounted], clients=1)
        before = side.meter.cpu() if side.meter else None
        leg = await _leg(side, work, clients=turn.clients, requests=turn.requests, round_=turn.round)
        after = side.meter.cpu() if side.meter else None
        legs.append(replace(leg, cpu=None if before is None or after is None else after - before))
        if turn.clients == most and side.meter and (seen := await asyncio.to_thread(side.meter.memory)) is not None:
            known = memory.get(side.name, Memory(0))
            memory[side.name] = Memory(max(seen.processes, known.processes), max(seen.gpus, known.gpus))
    progress.step("", len(order), len(order))
    return Measured(tuple(legs), memory)


def asking(target: Target, place: int = 0) -> BodyWriter:
    """The plain requests of a workload.

    The words depend on seed and number only, so every target is asked the same ones; ``place``, the target's among all,
    says with which they begin: nothing is asked twice, even where two targets share an engine.
    """
    return lambda work, seed, number: work.body(target.dialect, target.model, seed, number, place)


async def _leg(side: Side, work: Workload, *, clients: int, requests: int, round_: int) -> Leg:
    bodies = [side.body(work, _seed(round_, clients), number) for number in range(requests)]
    leg = await send(side.session, side.target, work, bodies, clients=clients, round_=round_)
    return replace(leg, target=side.name)


def _seed(round_: int, clients: int) -> str:
    return f"{round_}/{clients}"


def _with_last(what: str, legs: Sequence[Leg]) -> str:
    if not legs:
        return what
    last = legs[-1]
    return f"{what} (last: {last.target}, {last.clients} at once, {last.tokens_per_second:,.0f} tokens/s)"
