"""The process that compiles: begun, paused, ended and forgotten, whatever goes wrong with it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.supervisor.scripted import ScriptedPlanner, ScriptedProcess, ScriptedSpawner, Seams
from tests.unit.supervisor.worlds import model, spec
from vllama.engine.diagnose import Cause
from vllama.errors import NoRoomYet
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.compiler import Compiler
from vllama.supervisor.probes import Patience

PATIENCE = Patience(stall=60.0, hang=60.0, interval=0.001, idle_interval=0.0)
STEPS = (
    *("planner.room_to_compile", "spawner.process", "process.spawn", "spawner.remember", "spawner.client"),
    *("client.get /health", "client.close", "process.exited", "process.end", "process.wait", "spawner.forget"),
    "planner.learn",
)


class Bench:
    """A compiler on scripted processes, and what it reported."""

    def __init__(self, seams: Seams, folder: Path) -> None:
        self.spawner = ScriptedSpawner(seams)
        self.events: asyncio.Queue[ev.Event] = asyncio.Queue()
        self.compiler = Compiler(
            lambda: ScriptedPlanner(seams), lambda: PATIENCE, lambda: (), self.events.put_nowait, self.spawner
        )
        mini = replace(model("mini"), path=folder)
        compiles = spec(mini, code="abc").compiles
        assert compiles is not None
        self.action = act.Compile(7, mini, compiles)

    async def ended(self) -> ev.CompilationEnded:
        while True:
            event = await self.events.get()
            if isinstance(event, ev.CompilationEnded):
                assert event.run == self.action.run
                return event

    @property
    def process(self) -> ScriptedProcess:
        return self.spawner.made[-1]


@asynccontextmanager
async def bench(seams: Seams, folder: Path) -> AsyncIterator[Bench]:
    made = Bench(seams, folder)
    async with asyncio.timeout(20):
        yield made
        await made.compiler.close()
    assert not any(process.alive for process in made.spawner.made)
    assert not made.spawner.noted


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0)


def not_listening() -> Seams:
    """Its engine never answers."""
    seams = Seams()
    seams.deaf = True
    return seams


async def test_code_that_was_kept_is_made(tmp_path):
    async with bench(Seams(), tmp_path) as on:
        on.spawner.code = "/cache/model"
        on.compiler.start(on.action)
        ended = await on.ended()
    assert (ended.made, ended.later, ended.cause) == (True, False, None)


async def test_an_engine_that_kept_no_code_has_failed(tmp_path):
    async with bench(Seams(), tmp_path) as on:
        on.compiler.start(on.action)
        ended = await on.ended()
    assert ended.cause is not None
    assert (ended.made, ended.cause.code) == (False, "no_code")


async def test_a_process_that_dies_says_why(tmp_path):
    async with bench(not_listening(), tmp_path) as on:
        on.compiler.start(on.action)
        await until(lambda: bool(on.spawner.made) and on.process.alive)
        on.process.die()
        ended = await on.ended()
    assert (ended.made, ended.cause) == (False, Cause("crashed", "it crashed"))


async def test_a_model_whose_files_are_gone_is_not_started(tmp_path):
    async with bench(Seams(), tmp_path / "gone") as on:
        on.compiler.start(on.action)
        ended = await on.ended()
        assert on.spawner.made == []
    assert ended.cause is not None


async def test_without_room_it_is_not_started(tmp_path):
    async with bench(Seams("planner.room_to_compile", 1, NoRoomYet("full", missing=1)), tmp_path) as on:
        on.compiler.start(on.action)
        ended = await on.ended()
        assert on.spawner.made == []
    assert (ended.later, ended.cause) == (True, None)


async def test_it_can_be_ended_before_it_has_begun(tmp_path):
    async with bench(Seams(), tmp_path) as on:
        on.compiler.start(on.action)
        on.compiler.end()
        ended = await on.ended()
        assert on.spawner.made == []
    assert (ended.made, ended.later, ended.cause) == (False, False, None)


async def test_it_stands_still_goes_on_and_is_killed(tmp_path):
    async with bench(not_listening(), tmp_path) as on:
        on.compiler.start(on.action)
        await until(lambda: bool(on.spawner.noted))
        for paused in (True, False, True):
            on.compiler.pause(paused=paused)
            assert on.process.paused == paused
        on.compiler.end()
        on.compiler.end()
        ended = await on.ended()
    assert (ended.made, ended.cause) == (False, None)


async def test_code_that_it_was_killed_at_is_removed(tmp_path):
    half = tmp_path / "vllm" / "torch_compile_cache" / "torch_aot_compile" / "key" / "inductor_cache" / "half.so"
    half.parent.mkdir(parents=True)
    half.touch()
    async with bench(not_listening(), tmp_path) as on:
        on.action = replace(on.action, spec=replace(on.action.spec, keeps=tmp_path))
        on.compiler.start(on.action)
        await until(lambda: bool(on.spawner.noted))
        on.process.progress.feed(f"compiling: no code is kept in {half.parents[1]}/rank_0_0/model")
        on.compiler.end()
        await on.ended()
    assert not half.parents[1].exists()


async def test_one_that_is_paused_while_it_is_started_stands_still(tmp_path):
    async with bench(not_listening(), tmp_path) as on:
        on.compiler.start(on.action)
        on.compiler.pause(paused=True)
        await until(lambda: bool(on.spawner.noted))
        assert on.process.paused


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyError("x")])
@pytest.mark.parametrize("name", STEPS)
async def test_whatever_step_fails_it_ends_and_the_next_one_works(name, error, tmp_path):
    seams = Seams(name, 1, error)
    async with bench(seams, tmp_path) as on:
        on.spawner.code = "/cache/model"
        on.compiler.start(on.action)
        await on.ended()
        assert seams.failed
        assert not any(process.alive for process in on.spawner.made)
        on.compiler.start(on.action)
        assert (await on.ended()).made
        on.spawner.noted.clear()  # where it could not be forgotten
