"""Which silence ends an engine: the watch over a ready engine, on a fake one that runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from tests.fakes.running import RunningEngine
from vllama.engine.client import EngineClient
from vllama.engine.process import EngineProcess
from vllama.engine.spec import EngineSpec
from vllama.supervisor.probes import HUNG, Patience, until_unhealthy

PATIENCE = Patience(hang=0.2, interval=0.05)


class Idling(EngineProcess):
    """An engine that another has started, and that uses no CPU time."""

    def __init__(self, engine: RunningEngine) -> None:
        super().__init__(EngineSpec(engine.name, (), {}, engine.socket, engine.name, "generate"), lambda stage: None)

    def cpu_seconds(self) -> float:
        return 1.0


@pytest.fixture
async def watch(fake_engine: RunningEngine) -> AsyncIterator[asyncio.Task[object]]:
    """The watch, while a request is leased all the time of which no byte comes: its client does not read."""
    client = EngineClient(fake_engine.socket)
    task = asyncio.create_task(until_unhealthy(client, Idling(fake_engine), PATIENCE, lambda: True))
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.close()


async def test_an_engine_that_has_finished_is_not_ended_because_a_client_reads_slowly(fake_engine, watch):
    async with asyncio.timeout(30):
        while (await fake_engine.state())["generation_tokens"] < 3:  # it was suspected so often, and made a token
            assert not watch.done(), "a healthy engine was taken for a hung one"
            await asyncio.sleep(0.02)


async def test_a_stopped_engine_core_is_found_within_15_s_though_its_counters_say_that_nothing_runs(fake_engine, watch):
    os.kill((await fake_engine.state())["children"][0], signal.SIGSTOP)
    async with asyncio.timeout(15):
        assert await watch == HUNG
