"""What vLLama costs: the same work sent to an engine directly and through us, in one run, turn by turn."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final

import aiohttp
import psutil

from vllama.bench.budget import Compared, FrontEnd, compare
from vllama.bench.drive import connect
from vllama.bench.identity import same_name
from vllama.bench.legs import LegProgress, Side, asking, measure_legs
from vllama.bench.processes import listeners, sockets_below
from vllama.bench.rounds import BenchPlan
from vllama.bench.samples import Leg, Memory, Target
from vllama.bench.targets import TargetPlace, calibrate, find
from vllama.bench.workload import Workload
from vllama.errors import NotFound

ENGINE: Final = "engine"
OURS: Final = "vLLama"


@dataclass(frozen=True, slots=True)
class Ways:
    """Where vLLama and its engine are asked."""

    through: str
    """vLLama's URL."""
    direct: str | None = None
    """The bare engine; None: found below the process at ``through``, where that is on this machine."""
    model: str = ""
    """Its name at vLLama; empty: the one that is loaded."""
    pid: int | None = None
    """vLLama's process; None: found likewise."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """All that was measured."""

    compared: list[Compared]
    legs: tuple[Leg, ...]
    front_end: FrontEnd | None


class FrontEndProcess:
    """The front end alone, without the engines below it."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def cpu(self) -> float:
        """User and system seconds so far."""
        times = self._process.cpu_times()
        return times.user + times.system

    def memory(self) -> Memory:
        """Its resident set."""
        return Memory(int(self._process.memory_info().rss))


async def measure_overhead(ways: Ways, work: Workload, plan: BenchPlan, progress: LegProgress) -> Overhead:
    """Measure both ways. Raises NotFound when one of both can't be asked."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(connect(ways.through))
        progress.step(f"asking vLLama at {ways.through}", 0, 1)
        ours = await find(session, TargetPlace(OURS, ways.through, "ollama", ways.model))
        progress.step(f"loading {ours.model}", 0, 1)
        await calibrate(session, ours, work)
        bare, engine = await _engine(stack, ways, ours.model)
        meter = await asyncio.to_thread(_meter, ways)
        sides = (
            Side(ENGINE, bare, engine, asking(engine, 0)),
            Side(OURS, session, ours, asking(ours, 1), meter),
        )
        measured = await measure_legs(sides, work, plan, progress)
    rows = [
        compare(*(_of(measured.legs, clients, side) for side in (ENGINE, OURS))) for clients in sorted({*plan.clients})
    ]
    busiest = [leg for leg in _of(measured.legs, max(plan.clients), OURS) if leg.cpu is not None]
    front_end = None
    if busiest:
        events = sum(sample.tokens_out for leg in busiest for sample in leg.samples)
        front_end = FrontEnd(events, sum(leg.cpu or 0.0 for leg in busiest), measured.memory[OURS].processes)
    return Overhead(rows, measured.legs, front_end)


async def _engine(stack: AsyncExitStack, ways: Ways, model: str) -> tuple[aiohttp.ClientSession, Target]:
    """The bare engine; raises NotFound."""
    if ways.direct is not None:
        session = await stack.enter_async_context(connect(ways.direct))
        return session, await find(session, TargetPlace(ENGINE, ways.direct, "openai"))
    for socket in await asyncio.to_thread(sockets_below, ways.through):
        session = await stack.enter_async_context(connect(socket))
        with suppress(NotFound):
            target = await find(session, TargetPlace(ENGINE, socket, "openai"))
            if same_name(target.model, model):
                return session, target
    raise NotFound(
        f"the engine of {model} was not found below a process that listens at {ways.through}",
        hint="Run this on the service's machine, as root or as the service's user, or name the engine's address: "
        "--direct unix:/PATH.",
    )


def _meter(ways: Ways) -> FrontEndProcess | None:
    pid = ways.pid
    if pid is None:
        found = listeners(ways.through)
        pid = found.pop() if len(found) == 1 else None
    try:
        return FrontEndProcess(pid) if pid is not None else None
    except psutil.Error as error:
        raise NotFound(f"there is no process {pid}") from error


def _of(legs: tuple[Leg, ...], clients: int, side: str) -> list[Leg]:
    return [leg for leg in legs if (leg.clients, leg.target) == (clients, side)]
