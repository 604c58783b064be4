"""The measurement: every target warmed up, then all legs turn by turn."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from vllama.bench.drive import PATIENCE, connect
from vllama.bench.identity import Identity, described, differences
from vllama.bench.legs import LegProgress, Side, asking, measure_legs
from vllama.bench.processes import Listeners
from vllama.bench.record import MeasuredMachine
from vllama.bench.rounds import BenchPlan
from vllama.bench.samples import Leg, Memory, Target
from vllama.bench.targets import TargetPlace, calibrate, find, identify
from vllama.bench.workload import Workload
from vllama.errors import BadRequest
from vllama.fit.gpu import detect


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, and on which servers."""

    targets: tuple[Target, ...]
    identities: Mapping[str, Identity]
    workload: Workload
    """With the measured length of a word."""
    legs: tuple[Leg, ...]
    memory: Mapping[str, Memory]
    unlike: tuple[str, ...]


async def measure(
    places: Sequence[TargetPlace],
    work: Workload,
    plan: BenchPlan,
    progress: LegProgress,
    *,
    unlike: bool = False,
    patience: float = PATIENCE,
) -> Outcome:
    """Measure all targets; ``patience`` as in ``drive.connect``.

    Raises NotFound when one can't be asked, BadRequest when two differ in what they run and ``unlike`` is not set.
    """
    async with AsyncExitStack() as stack:
        sides: list[Side] = []
        identities: dict[str, Identity] = {}
        for number, place in enumerate(places):
            session = await stack.enter_async_context(connect(place.address, patience))
            progress.step(f"asking {place.name} at {place.address}", 0, 1)
            target = await find(session, place)
            progress.step(f"loading {target.model} at {place.name}", 0, 1)
            tokens_per_word = await calibrate(session, target, work)
            if not sides:  # the others get the same words, however many tokens these are for them
                work = replace(work, prompts=replace(work.prompts, tokens_per_word=tokens_per_word))
            meter = await asyncio.to_thread(Listeners, target.address)
            sides.append(Side(target.name, session, target, asking(target, number), meter))
            identities[target.name] = await identify(session, target)
            progress.say(described(target.name, identities[target.name]))
        differing = tuple(_unlike(identities))
        if differing and not unlike:
            raise BadRequest(
                f"the targets differ: {'; '.join(differing)}",
                hint="Figures of different models say little about their servers. To measure them anyway: --unlike",
            )
        measured = await measure_legs(sides, work, plan, progress)
    targets = tuple(side.target for side in sides)
    return Outcome(targets, identities, work, measured.legs, measured.memory, differing)


def _unlike(identities: Mapping[str, Identity]) -> list[str]:
    (first, mine), *others = identities.items()
    return [f"{first} and {name}: {text}" for name, other in others for text in differences(mine, other)]


def this_machine() -> MeasuredMachine:
    """As a reader of the figures must know it."""
    return MeasuredMachine(
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
