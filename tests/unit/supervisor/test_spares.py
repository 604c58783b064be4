"""When a spare interpreter is made, taken, replaced and given up."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.processes import alive, until_gone
from tests.unit.supervisor.scripted import ScriptedPlanner, ScriptedSpawner, Seams
from tests.unit.supervisor.worlds import model
from vllama.engine.spec import EngineSpec
from vllama.errors import LoadFailed, NoRoomYet
from vllama.fit.hardware import Hardware
from vllama.supervisor.loop import Supervisor
from vllama.supervisor.policy import Policy
from vllama.supervisor.port import Wish
from vllama.supervisor.probes import Patience
from vllama.supervisor.spares import Spares, affordable

GIB = 1 << 30


def machine(total: int, available: int, promised: int = 0) -> Hardware:
    return Hardware("cpu", (0,), total * GIB, available * GIB, ram_promised=promised * GIB)


@pytest.mark.parametrize(
    ("choice", "hardware", "kept"),
    [
        (None, machine(24, 20), True),
        (None, machine(24, 6), False),  # less than a quarter would be left
        (None, machine(24, 20, promised=15), False),
        (None, machine(8, 5), True),
        (None, machine(8, 4), False),  # less than 4 GiB would be left
        (True, machine(2, 1), True),
        (False, machine(500, 400), False),
    ],
)
def test_one_is_kept_where_memory_is_plenty_or_a_person_says_so(choice, hardware, kept):
    assert affordable(choice, hardware) is kept


@pytest.fixture
def spec(tmp_path: Path) -> EngineSpec:
    """An interpreter that waits whatever it is given."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import sys; sys.stdin.read(); sys.stdin.read()'\n")
    python.chmod(0o755)
    (tmp_path / "e").mkdir()
    return EngineSpec("mini", (str(python), "-m", "vllm"), {"A": "1"}, tmp_path / "e.sock", "mini", "generate")


class Watched:
    """``Spares`` of a machine with plenty of memory, and the process that waits in there."""

    def __init__(self, choice: bool | None = True) -> None:
        self.spares = Spares(lambda: choice, lambda: machine(24, 20))

    async def waiting(self, unlike: int = 0) -> int:
        async with asyncio.timeout(20):
            while self.spares.pid in {None, unlike}:
                await asyncio.sleep(0.01)
        assert self.spares.pid is not None
        return self.spares.pid


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    made = Watched()
    yield made
    await made.spares.close()


def always() -> bool:
    return True


async def test_the_next_engine_takes_it(watched, spec):
    watched.spares.keep(spec, always)
    pid = await watched.waiting()
    process = watched.spares.launch(spec)
    assert process.pid == pid
    assert watched.spares.pid is None
    process.kill()
    process.communicate()


async def test_an_engine_that_it_does_not_fit_ends_it(watched, spec):
    watched.spares.keep(spec, always)
    pid = await watched.waiting()
    process = watched.spares.launch(replace(spec, env={"A": "2"}))
    assert process.pid != pid
    await until_gone([pid], 10)
    process.kill()
    process.communicate()


async def test_a_process_in_the_background_leaves_it_to_the_next_load(watched, spec):
    watched.spares.keep(spec, always)
    pid = await watched.waiting()
    process = watched.spares.launch(replace(spec, background=True))
    assert process.pid != pid
    assert watched.spares.pid == pid
    process.kill()
    process.communicate()


async def test_it_is_not_made_before_all_is_quiet(watched, spec):
    asked = asyncio.Event()
    quiet = False

    def idle() -> bool:
        asked.set()
        return quiet

    watched.spares.keep(spec, idle)
    await asyncio.wait_for(asked.wait(), 10)
    assert watched.spares.pid is None
    quiet = True
    assert alive(await watched.waiting())


async def test_one_that_is_killed_is_replaced(spec):
    watched = Watched()
    watched.spares.pauses = (0.0, 0.0)
    watched.spares.keep(spec, always)
    pid = await watched.waiting()
    os.kill(pid, 9)
    assert alive(await watched.waiting(unlike=pid))
    await watched.spares.close()


async def test_one_that_ends_by_itself_is_not_replaced_for_ever(spec):
    watched = Watched()
    watched.spares.pauses = (0.0, 0.0)
    broken = replace(spec, argv=("/bin/false", "-m", "vllm"))
    watched.spares.keep(broken, always)
    assert watched.spares.keeping is not None
    await asyncio.wait_for(watched.spares.keeping, 20)
    assert watched.spares.pid is None


@pytest.mark.parametrize("end", [Spares.release, Spares.close])
async def test_none_is_left_when_memory_is_short_or_the_service_ends(watched, spec, end: Callable[..., object]):
    watched.spares.keep(spec, always)
    pid = await watched.waiting()
    await end(watched.spares)  # type: ignore[misc]
    assert not alive(pid)
    assert await watched.spares.release() is False


async def test_none_is_made_where_it_is_switched_off_or_for_a_gpu(watched, spec):
    off = Watched(choice=False)
    off.spares.keep(spec, always)
    watched.spares.keep(replace(spec, gpus=(0,)), always)
    assert off.spares.keeping is None
    assert watched.spares.keeping is None


@pytest.mark.parametrize("short", [NoRoomYet("no room", missing=1), LoadFailed("too big", code="too_big")])
async def test_a_plan_that_lacks_memory_is_made_again_without_the_spare(short):
    seams = Seams("planner.spec", 1, short)
    spawner = ScriptedSpawner(seams)
    spawner.prepared = True
    patience = Patience(stall=60.0, hang=60.0, interval=0.001, idle_interval=0.0)
    supervisor = Supervisor(ScriptedPlanner(seams), Policy(drain=0.0), patience, spawner=spawner)
    async with asyncio.timeout(20):
        async with supervisor.lease(Wish(model("one"))):
            assert seams.passed["planner.spec"] == 2
        await supervisor.close()


async def test_without_a_spare_the_plan_is_final():
    seams = Seams("planner.spec", 1, LoadFailed("too big", code="too_big"))
    patience = Patience(stall=60.0, hang=60.0, interval=0.001, idle_interval=0.0)
    supervisor = Supervisor(ScriptedPlanner(seams), Policy(drain=0.0), patience, spawner=ScriptedSpawner(seams))
    async with asyncio.timeout(20):
        with pytest.raises(LoadFailed):
            async with supervisor.lease(Wish(model("one"))):
                pass
        assert seams.passed["planner.spec"] == 1
        await supervisor.close()
