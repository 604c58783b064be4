"""The next engine starts from an interpreter that waits. Nothing depends on that one, and nothing of it stays."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import LiveService
from tests.processes import alive, until_gone


def live(folder: Path, **engine: Any) -> LiveService:
    names = ("first", "second")
    settings = {"kv_cache_memory": "64MiB"}
    models = {name: {"source": str(scripted(folder, name)), "settings": settings} for name in names}
    engine = {"python": str(interpreter.write(folder)), "max_loaded": 1, "min_residence": "0s", **engine}
    return LiveService(folder, {"engine": engine, "models": models})


@pytest.fixture
async def up(folder: Path) -> AsyncIterator[LiveService]:
    async with live(folder, spare=True) as service:
        yield service


async def answered(up: LiveService, model: str) -> int:
    """The process of the engine that answered."""
    status, answer = await up.chat("count to 3", model=model, stream=False)
    assert status == 200, f"{answer}\n{up.log}"
    assert answer["message"]["content"] == "1, 2, 3"
    return up.engines()[0].pid


async def spare(up: LiveService) -> psutil.Process:
    """The one that waits, when there is one."""
    async with asyncio.timeout(20):
        while (found := up.spare()) is None:
            await asyncio.sleep(0.02)
    return found


async def test_the_next_engine_is_the_interpreter_that_waited(up):
    await answered(up, "first")
    waiting = await spare(up)
    assert await answered(up, "second") == waiting.pid
    assert (await spare(up)).pid != waiting.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_one_that_was_killed_is_missed_by_nobody(up, number):
    await answered(up, "first")
    waiting = await spare(up)
    waiting.send_signal(number)
    assert await answered(up, "second") != waiting.pid
    assert not alive(waiting.pid)
    assert alive((await spare(up)).pid)


async def test_an_engine_from_a_spare_is_stopped_and_replaced_like_any_other(up):
    await answered(up, "first")
    await spare(up)
    engine = await answered(up, "second")
    family = [process.pid for process in up.engines()]
    psutil.Process(engine).kill()
    assert await answered(up, "second") != engine
    await until_gone(family, 5)


async def test_it_ends_with_the_service(folder: Path):
    service = live(folder, spare=True)
    async with service:
        await answered(service, "first")
        waiting = await spare(service)
    assert not alive(waiting.pid)
    async with service:
        await answered(service, "first")
        waiting = await spare(service)
        service.send(signal.SIGKILL)
        await service.wait(10)
        await until_gone([waiting.pid], 10)
        await asyncio.to_thread(service.start)
        assert "left behind" in service.log  # the engine


async def test_none_is_kept_where_that_is_switched_off(folder: Path):
    async with live(folder, spare=False) as service:
        first = await answered(service, "first")
        assert await answered(service, "second") != first
        assert service.spare() is None


async def test_a_reload_that_switches_it_on_is_followed(folder: Path):
    service = live(folder, spare=False)
    service.config["log"] = {"level": "debug"}
    async with service:
        await answered(service, "first")
        file = folder / "vllama.yaml"
        file.write_text(file.read_text().replace("spare: false", "spare: true"))
        service.send(signal.SIGHUP)
        async with asyncio.timeout(20):
            while "changed: engine.spare" not in service.log:
                await asyncio.sleep(0.02)
        await answered(service, "second")
        await spare(service)
