"""Real vLLM dies and hangs: noticed within a bound, clients told, the engine back, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from tests.client import Client
from tests.engine.conftest import ENDLESS, start
from tests.live import LiveService
from tests.processes import until_gone

MODEL = {"model": "tinychat:latest"}
BACK_SECONDS = 600  # 30 s on an idle machine with two cores


@pytest.fixture(scope="module")
def victim() -> Iterator[LiveService]:
    """A service of its own, whose engine is hit by each test of this module."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))
    service = start(
        folder, "tinychat", hang_timeout="5s", probe_interval="1s", restart_backoff="100ms", drain_timeout="3s"
    )
    yield service
    service.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def up(victim: LiveService) -> AsyncIterator[Client]:
    async with Client(victim.url) as client:
        yield client


def process(service: LiveService, title: str) -> psutil.Process:
    """EngineCore, or the API server (``""``)."""
    engines = service.engines()
    if not title:
        return engines[0]
    return next(p for p in engines if p.name().startswith(f"VLLM::{title}"[:15]))


async def streams(up: Client, count: int) -> list[asyncio.Task[tuple[int, list[dict[str, object]]]]]:
    """So many answers without end, all of them running in the engine."""
    tasks = [asyncio.create_task(up.chat("Describe Italy as JSON.", format=ENDLESS)) for _ in range(count)]
    await up.until_metric("vllm:num_requests_running", count, within=30, **MODEL)
    return tasks


async def answers_again(up: Client) -> None:
    async with asyncio.timeout(BACK_SECONDS):
        status, answer = await up.chat("Count to 5.", stream=False)
    assert status == 200, answer
    assert answer["message"]["content"] == "1 2 3 4 5"


def libc_address(pid: int) -> str:
    """Where libc lies in its memory: at random for each program that is started, and the same after a fork."""
    return next(line.split("-")[0] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "libc.so" in line)


def test_the_engine_core_is_forked_from_its_server_and_not_an_interpreter_of_its_own(victim):
    core, server = (libc_address(process(victim, title).pid) for title in ("EngineCore", ""))
    assert core == server


@pytest.mark.parametrize("title", ["", "EngineCore"])
async def test_after_kill_9_clients_get_an_error_within_10_s_and_the_next_request_is_answered(victim, up, title):
    old = [p.pid for p in victim.engines()]
    tasks = await streams(up, 3)
    process(victim, title).kill()
    async with asyncio.timeout(10):
        for _, lines in await asyncio.gather(*tasks):
            assert set(lines[-1]) == {"error"}
    await answers_again(up)
    await until_gone(old, 1)


async def test_a_stopped_engine_core_is_noticed_within_30_s_and_replaced(victim, up):
    old = [p.pid for p in victim.engines()]
    tasks = await streams(up, 1)
    process(victim, "EngineCore").send_signal(signal.SIGSTOP)
    async with asyncio.timeout(30):
        _, lines = await tasks[0]
    assert set(lines[-1]) == {"error"}
    await answers_again(up)
    await until_gone(old, 1)


async def test_what_a_killed_service_left_behind_is_ended_by_the_next_one(victim):
    old = [p.pid for p in victim.engines()]
    os.kill(victim.pid, signal.SIGKILL)
    await victim.wait(5)
    assert any(psutil.pid_exists(pid) for pid in old), "the premise: engines outlive a killed service"
    await asyncio.to_thread(victim.start)
    await until_gone(old, 5)
    async with Client(victim.url) as up:
        await answers_again(up)


async def test_sigterm_with_streams_ends_them_within_20_s_and_leaves_nothing(victim, up):
    pids = [p.pid for p in victim.engines()]
    tasks = await streams(up, 3)
    victim.send(signal.SIGTERM)
    async with asyncio.timeout(20):
        for _, lines in await asyncio.gather(*tasks):
            assert set(lines[-1]) == {"error"} or lines[-1]["done"]
        assert await victim.wait(20) == 0
    await until_gone(pids, 1)
