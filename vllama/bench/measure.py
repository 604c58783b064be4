"""The measurement: every target warmed up, then all legs turn by turn."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiohttp
import psutil

from vllama.bench.drive import connect, drive
from vllama.bench.identity import Identity, described, differences
from vllama.bench.processes import Listeners
from vllama.bench.record import Machine
from vllama.bench.rounds import Plan, turns
from vllama.bench.samples import Leg, Memory, Target
from vllama.bench.targets import Place, calibrate, find, identify
from vllama.bench.workload import Workload
from vllama.errors import BadRequest
from vllama.fit.gpu import detect

WARM_UP: Final = -1
"""The round of legs that don't count: its texts are none of those that do."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how it goes."""

    say: Callable[[str], None]
    """A line that stays."""
    step: Callable[[str, int, int], None]
    """What goes on, how many legs are done, of how many."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured of whom."""

    targets: tuple[Target, ...]
    identities: Mapping[str, Identity]
    workload: Workload
    """With the measured length of a word."""
    legs: tuple[Leg, ...]
    memory: Mapping[str, Memory]
    unlike: tuple[str, ...]


async def measure(
    places: Sequence[Place], work: Workload, plan: Plan, progress: Progress, *, unlike: bool = False
) -> Outcome:
    """Measure all targets.

    Raises NotFound when one can't be asked, BadRequest when two differ in what they run and ``unlike`` is not set.
    """
    async with AsyncExitStack() as stack:
        sessions: dict[str, aiohttp.ClientSession] = {}
        targets: list[Target] = []
        identities: dict[str, Identity] = {}
        for place in places:
            sessions[place.name] = session = await stack.enter_async_context(connect(place.address))
            progress.step(f"asking {place.name} at {place.address}", 0, 1)
            target = await find(session, place)
            progress.step(f"loading {target.model} at {place.name}", 0, 1)
            tokens_per_word = await calibrate(session, target, work)
            if not targets:  # the others are asked the same words, whatever these are in their tokens
                work = replace(work, prompts=replace(work.prompts, tokens_per_word=tokens_per_word))
            targets.append(target)
            identities[target.name] = await identify(session, target)
            progress.say(described(target.name, identities[target.name]))
        differing = tuple(_unlike(identities))
        if differing and not unlike:
            raise BadRequest(
                f"these are not the same: {'; '.join(differing)}",
                hint="Figures of unlike things say little about their servers. --unlike measures them all the same.",
            )
        legs, memory = await _legs(sessions, targets, work, plan, progress)
    return Outcome(tuple(targets), identities, work, legs, memory, differing)


async def _legs(
    sessions: Mapping[str, aiohttp.ClientSession],
    targets: Sequence[Target],
    work: Workload,
    plan: Plan,
    progress: Progress,
) -> tuple[tuple[Leg, ...], Mapping[str, Memory]]:
    by_name = {target.name: (place, target) for place, target in enumerate(targets)}
    order = list(turns(plan, list(by_name)))
    most = max(plan.clients)
    for place, target in by_name.values():  # connections, caches and code paths are warm before anything counts
        progress.step(f"warming up {target.name}", 0, len(order))
        await drive(sessions[target.name], target, work, clients=most, requests=most, round_=WARM_UP, place=place)
    listeners = {target.name: await asyncio.to_thread(Listeners, target.address) for target in targets}
    legs: list[Leg] = []
    memory: dict[str, Memory] = {}
    for turn in order:
        what = f"round {turn.round + 1} of {plan.rounds}: {turn.target}, {turn.clients} at once"
        progress.step(_with_last(what, legs), len(legs), len(order))
        (place, target), behind = by_name[turn.target], listeners[turn.target]
        before = behind.cpu()
        leg = await drive(
            sessions[target.name],
            target,
            work,
            clients=turn.clients,
            requests=turn.requests,
            round_=turn.round,
            place=place,
        )
        after = behind.cpu()
        legs.append(replace(leg, cpu=None if before is None or after is None else after - before))
        if turn.clients == most and (seen := await asyncio.to_thread(behind.memory)) is not None:
            known = memory.get(target.name, Memory(0))
            memory[target.name] = Memory(max(seen.processes, known.processes), max(seen.gpus, known.gpus))
    progress.step("", len(order), len(order))
    return tuple(legs), memory


def _with_last(what: str, legs: Sequence[Leg]) -> str:
    if not legs:
        return what
    last = legs[-1]
    return f"{what} (last: {last.target}, {last.clients} at once, {last.tokens_per_second:,.0f} tokens/s)"


def _unlike(identities: Mapping[str, Identity]) -> list[str]:
    (first, mine), *others = identities.items()
    return [f"{first} and {name}: {text}" for name, other in others for text in differences(mine, other)]


def this_machine() -> Machine:
    """As a reader of the figures must know it."""
    return Machine(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        memory=psutil.virtual_memory().total,
        gpus=tuple(gpu.name for gpu in detect().gpus),
        system=f"{platform.system()} {platform.release()}",
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
