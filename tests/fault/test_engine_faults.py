"""What happens to an engine, and within which time the service and its clients are well again (fake engines)."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.client import text_of
from tests.component.conftest import engine_of
from tests.fakes.model_dir import rescript
from tests.live import LiveService
from tests.processes import until_gone

MODEL = "tinychat:latest"


@pytest.fixture
async def up(service: LiveService):
    async with service:
        yield service


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block takes no longer."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took <= seconds, f"took {took:.1f} s, bound {seconds} s"


async def answered(up: LiveService) -> None:
    status, answer = await up.chat("count to 3", stream=False)
    assert (status, answer.get("message", answer)["content"]) == (200, "1, 2, 3")


@pytest.mark.parametrize("victim", ["server", "EngineCore", "Worker"])
async def test_a_killed_engine_is_back_within_10_s_and_waiting_requests_are_answered(up, victim):
    engine = await engine_of(up)
    await engine.script(token_rate=50)
    state = await engine.state()
    pid = state["pid"] if victim == "server" else state["children"][victim == "Worker"]
    streams = [asyncio.create_task(up.chat("count to 300")) for _ in range(3)]
    await engine.until(running=3)
    with within(10):
        os.kill(pid, signal.SIGKILL)
        for _, lines in await asyncio.gather(*streams):
            assert set(lines[-1]) == {"error"}
        await asyncio.gather(*(answered(up) for _ in range(5)))
    await until_gone([state["pid"], *state["children"]], 1)
    assert await up.metric("vllama_engine_crashes_total", model=MODEL) >= 1


@pytest.mark.parametrize("stream", [True, False])
async def test_the_first_request_after_an_idle_engine_was_killed_is_answered_by_the_next_one(up, stream):
    for _ in range(3):
        state = await (await engine_of(up)).state()
        os.kill(state["pid"], signal.SIGKILL)
        with within(10):
            status, answer = await up.chat("count to 3", stream=stream)
        assert status == 200
        assert (text_of(answer) if stream else answer["message"]["content"]) == "1, 2, 3"


async def test_an_idle_engine_that_leaves_with_status_0_is_started_again_within_10_s_without_a_request(up):
    pid = (await (await engine_of(up)).state())["pid"]
    os.kill(pid, signal.SIGTERM)
    with within(10):
        await up.until_metric("vllama_engine_crashes_total", 1, model=MODEL)
        await up.until_metric("vllama_engine_state", 1, model=MODEL, state="ready")
    await answered(up)


async def test_a_hung_engine_is_noticed_and_replaced_within_15_s(up):
    engine = await engine_of(up)
    await engine.script(token_rate=50)
    core = (await engine.state())["children"][0]
    stream = asyncio.create_task(up.chat("count to 300"))
    await engine.until(running=1)
    with within(15):
        os.kill(core, signal.SIGSTOP)
        _, lines = await stream
        assert set(lines[-1]) == {"error"}
        await answered(up)
    await until_gone([core], 1)


async def test_a_slow_engine_is_not_taken_for_a_hung_one(up):
    engine = await engine_of(up)
    await engine.script(token_rate=3)
    _, lines = await up.chat("count to 8")
    assert text_of(lines) == "1, 2, 3, 4, 5, 6, 7, 8"
    assert await up.metric("vllama_engine_crashes_total", model=MODEL) == 0


async def test_children_that_outlive_their_server_are_ended_within_5_s(up):
    engine = await engine_of(up)
    await engine.script(trouble="exit", leave_children=True)
    state = await engine.state()
    await up.chat("hello")
    await until_gone([state["pid"], *state["children"]], 5)
    await engine_of(up)


async def test_a_crash_loop_opens_the_breaker_and_closes_it_for_a_new_request_after_the_cool_off(service: LiveService):
    service.config["engine"] |= {"breaker_crashes": 3, "breaker_cooloff": "1s", "restart_backoff": "20ms"}
    rescript(service.folder / "tinychat", trouble="signal", after_tokens=1)
    async with service as up:
        with within(30):
            for _ in range(6):  # each request brings a crash
                status, answer = await up.chat("hello")
            await up.until_metric("vllama_engine_state", 1, model=MODEL, state="broken", within=20)
            status, answer = await up.chat("hello")
            assert status >= 500, answer
            rescript(service.folder / "tinychat")
            await asyncio.sleep(1)  # the cool-off itself
            await answered(up)


async def test_an_engine_that_ignores_sigterm_is_gone_within_20_s_of_its_unload(up):
    engine = await engine_of(up)
    await engine.script(ignore_sigterm=True)
    state = await engine.state()
    await up.post("/api/generate", {"model": "tinychat", "keep_alive": 0})
    await until_gone([state["pid"], *state["children"]], 20)


async def test_one_models_crash_does_not_touch_the_other(up):
    engine, other = await engine_of(up), await engine_of(up, "other")
    await other.script(token_rate=50)
    stream = asyncio.create_task(up.chat("count to 40", model="other"))
    await other.until(running=1)
    os.kill((await engine.state())["pid"], signal.SIGKILL)
    _, lines = await stream
    assert text_of(lines).endswith("39, 40")
