"""Every failure of a supervision task is an event: nothing stays as it was half way, and the next load works."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.unit.supervisor.scripted import ScriptedPlanner, ScriptedSpawner, Seams
from tests.unit.supervisor.worlds import model
from vllama.errors import VllamaError
from vllama.supervisor.loop import Supervisor
from vllama.supervisor.policy import Policy
from vllama.supervisor.port import EngineView, Phase, Wish
from vllama.supervisor.probes import Patience
from vllama.supervisor.states import LOADING

ONE, OTHER = model("one"), model("other")
POLICY = Policy(max_loaded=1, min_residence=0.0, backoff=0.001, backoff_max=0.002, breaker_crashes=1000, drain=0.0)
PATIENCE = Patience(stall=60.0, hang=60.0, interval=0.001, idle_interval=0.0)
WITHIN = 20.0
"""Seconds for what takes milliseconds."""

STEPS = {
    *("planner.spec", "planner.learn", "planner.distrust", "planner.room_to_wake"),
    *("process.spawn", "process.exited", "process.wait"),
    *("process.stop", "process.end", "spawner.process", "spawner.client", "spawner.remember", "spawner.forget"),
    *("client.close", "client.get /health", "client.get /v1/models", "client.call /v1/completions"),
    *("client.call /sleep?level=1", "client.call /wake_up", "spawner.prepare", "spawner.close"),
    "process.page_out",
}
"""All that the supervisor's tasks wait for or may stumble over in an engine's life."""
ERRORS = (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyError("x"))


class World:
    """A supervisor on scripted engines, and what was seen of its engines."""

    def __init__(self, seams: Seams) -> None:
        self.spawner = ScriptedSpawner(seams)
        self._changed = asyncio.Event()
        self.supervisor = Supervisor(ScriptedPlanner(seams), POLICY, PATIENCE, self._seen, self.spawner)

    def _seen(self, _: EngineView) -> None:
        self._changed.set()

    def phases(self) -> dict[str, Phase]:
        return {view.model.name.model: view.phase for view in self.supervisor.snapshot()}

    async def until(self, name: str, *phases: str) -> None:
        """``absent``: it has no engine."""
        while self.phases().get(name, "absent") not in phases:
            self._changed.clear()
            await self._changed.wait()


@asynccontextmanager
async def world(seams: Seams) -> AsyncIterator[World]:
    made = World(seams)
    async with asyncio.timeout(WITHIN):
        yield made
        await made.supervisor.close()
    assert not any(process.alive for process in made.spawner.made)


async def lease(on: World, which: str) -> None:
    async with on.supervisor.lease(Wish(ONE if which == "one" else OTHER)):
        pass


async def life(on: World, seams: Seams) -> None:
    """All that can happen to an engine: it is loaded, watched, sleeps, is woken, dies, is loaded again, is unloaded.

    Where a step fails the one who waits for it may be refused; what was begun goes on.
    """
    for which in ("one", "other", "one"):  # only one may be up: the other one falls asleep
        with suppress(VllamaError):
            await lease(on, which)
    asked = seams.passed["client.call /v1/completions"]
    while on.phases().get("one") == "ready" and seams.passed["client.call /v1/completions"] == asked:
        await asyncio.sleep(0)  # until it was watched for a while
    for process in on.spawner.made:
        process.die()
    await on.until("one", "absent", "asleep", "backoff", "failing", "planning", "starting", "warming")
    with suppress(VllamaError):
        await lease(on, "one")
    await on.supervisor.unload(ONE)
    await on.until("one", "absent", "asleep", "backoff")


async def test_the_list_of_steps_is_whole():
    seams = Seams()
    async with world(seams) as on:
        await life(on, seams)
    assert set(seams.passed) == STEPS


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", sorted(STEPS))
async def test_whatever_step_fails_the_next_load_works(name: str, number: int, error: Exception):
    seams = Seams(name, number, error)
    async with world(seams) as on:
        await life(on, seams)
        for which in ("other", "one"):
            await lease(on, which)
            assert on.phases()[which] == "ready"
        assert not {*LOADING} & {*on.phases().values()}
        assert sum(process.alive for process in on.spawner.made) == len(on.phases())
    assert seams.failed or number == 2


@pytest.mark.parametrize("name", ["planner.spec", "process.spawn", "spawner.client", "spawner.remember"])
async def test_a_full_disk_is_reported_at_once_and_is_no_crash(name: str):
    seams = Seams(name, 1, ERRORS[0])
    async with world(seams) as on:
        with pytest.raises(VllamaError, match="no space left on device") as refused:
            await lease(on, "one")
        assert "Free some space" in refused.value.hint
        assert on.phases() == {}
        await lease(on, "one")
        (view,) = on.supervisor.snapshot()
        assert view.restarts == 0


async def test_the_listener_of_changes_may_fail():
    def broken(_: EngineView) -> None:
        raise OSError(errno.EPIPE, "the terminal has gone")

    seams = Seams()
    supervisor = Supervisor(ScriptedPlanner(seams), POLICY, PATIENCE, broken, ScriptedSpawner(seams))
    async with asyncio.timeout(WITHIN), supervisor.lease(Wish(ONE)):
        pass
    await supervisor.close()
