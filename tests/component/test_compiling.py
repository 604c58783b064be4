"""The first load on a CPU does not wait for a compiler: models are compiled while the service is idle."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import LiveService
from tests.processes import until_gone

WITHIN = 30.0
LOOK = 0.1
"""Seconds between two looks at all processes: each costs CPU time that the processes need."""


def service(folder: Path, mode: str = "auto", **script: Any) -> LiveService:
    """Two models large enough to be compiled; ``script`` is that of ``mini``."""
    large = {"eager_below": 1}
    models = {
        "mini": {"source": str(scripted(folder, "mini", **script)), "settings": large},
        "other": {"source": str(scripted(folder, "other")), "settings": large},
    }
    engine = {"python": str(interpreter.write(folder)), "compile": mode, "drain_timeout": "5s", "spare": False}
    return LiveService(folder, {"engine": engine, "models": models, "log": {"level": "debug"}})


async def load(up: LiveService, model: str = "mini") -> None:
    status, answer = await up.post("/api/generate", {"model": model})
    assert status == 200, f"{answer}\n{up.log}"


async def unload(up: LiveService, model: str = "mini") -> None:
    await up.post("/api/generate", {"model": model, "keep_alive": 0})
    await until(lambda: not engines(up), up, LOOK)


async def until(true: Callable[[], object], up: LiveService, every: float = 0.02) -> None:
    async with asyncio.timeout(WITHIN):
        while not true():
            await asyncio.sleep(every)


async def logged(up: LiveService, text: str, times: int = 1) -> None:
    try:
        await until(lambda: up.log.count(text) >= times, up)
    except TimeoutError:
        raise AssertionError(f"the log has no {text!r}:\n{up.log}") from None


def engines(up: LiveService) -> list[psutil.Process]:
    """API servers, the one that compiles among them."""
    found = []
    for process in up.family():
        try:
            if "--uds" in process.cmdline():
                found.append(process)
        except psutil.Error:
            pass
    return found


def compiler(up: LiveService) -> psutil.Process | None:
    found = [process for process in engines(up) if any(word.endswith(".c.sock") for word in process.cmdline())]
    return found[0] if found else None


def eager(up: LiveService) -> bool:
    (engine,) = [process for process in engines(up) if process != compiler(up)]
    return "--enforce-eager" in engine.cmdline()


async def begun(up: LiveService) -> psutil.Process:
    await until(lambda: compiler(up), up, LOOK)
    found = compiler(up)
    assert found is not None
    return found


async def reported(up: LiveService) -> str:
    _, answer = await up.get("/vllama/engines")
    (engine,) = answer["engines"]
    return str(engine.get("compiling", ""))


async def test_the_first_load_is_eager_and_the_next_one_is_compiled(folder: Path):
    async with service(folder, compile_seconds=1.0) as up:
        await load(up)
        assert eager(up)
        assert await reported(up) == "eager; it is compiled when the machine is idle"
        process = await begun(up)
        await up.until_metric("vllama_engine_code", 1, model="mini:latest", state="compiling")
        assert (process.nice(), os.sched_getscheduler(process.pid)) == (19, os.SCHED_IDLE)
        await logged(up, "mini:latest: compiled in")
        await until_gone([process.pid], 10)
        assert (await reported(up)).startswith("eager; compiled, and ")
        assert eager(up), "who uses it keeps it"
        await up.until_metric("vllama_engine_code", 0, model="mini:latest", state="compiling")
        await unload(up)
        await load(up)
        assert not eager(up)
    async with service_again(folder) as up:
        await load(up)
        assert not eager(up), "another run of the service has the code as well"


def service_again(folder: Path) -> LiveService:
    models = {"mini": {"source": str(folder / "mini"), "settings": {"eager_below": 1}}}
    return LiveService(folder, {"engine": {"python": str(folder / "python"), "spare": False}, "models": models})


async def test_a_request_is_answered_while_the_compiler_stands_still(folder: Path):
    async with service(folder, compile_seconds=60.0) as up:
        await load(up)
        process = await begun(up)
        asking = asyncio.create_task(up.chat("count to 2000", model="mini", options={"num_predict": 100000}))
        await until(lambda: process.status() == psutil.STATUS_STOPPED, up)
        status, _ = await asking
        assert status == 200
        await until(lambda: process.status() != psutil.STATUS_STOPPED, up)


async def test_a_load_kills_the_compiler_and_it_begins_again_later(folder: Path):
    async with service(folder, compile_seconds=60.0) as up:
        await load(up)
        first = await begun(up)
        await load(up, "other")
        await until_gone([first.pid], 10)
        await logged(up, "mini:latest: compiling stopped, because the machine is needed")
        second = await begun(up)
        assert second.pid != first.pid


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_nothing_of_it_outlives_the_service(folder: Path, how: str):
    up = service(folder, compile_seconds=60.0)
    async with up:
        await load(up)
        process = await begun(up)
        family = [process.pid for process in up.family()]
        if how == "kill":
            up.send(signal.SIGKILL)
            await up.wait(10)
    if how == "kill":
        async with service_again(folder):
            await until_gone(family, 10)
    await until_gone([process.pid], 10)
    assert list(up.runtime.glob("*.c.*")) == []


async def test_a_failure_is_reported_once_and_the_model_stays_eager(folder: Path):
    async with service(folder, keeps_no_code=True) as up:
        await load(up)
        await logged(up, "mini:latest: it was not compiled:")
        assert (await reported(up)).startswith("eager, because compiling failed: ")
        assert "kept no code: [Errno 28] No space left on device" in await reported(up)
        await unload(up)
        await load(up)
        assert eager(up)
        assert (await reported(up)).startswith("eager, because compiling failed: ")
        assert up.log.count("it was not compiled") == 1


async def test_one_that_somebody_kills_has_not_failed_and_is_tried_again_later(folder: Path):
    async with service(folder, compile_seconds=60.0) as up:
        await load(up)
        (await begun(up)).kill()
        async with asyncio.timeout(WITHIN):
            while await reported(up) != "eager; it is compiled when the machine is idle":
                await asyncio.sleep(0.02)


async def test_without_room_next_to_what_runs_the_model_is_not_compiled_now(folder: Path):
    up = service(folder)
    up.config["engine"]["max_ram"] = "3GiB"  # the engine takes two
    async with up:
        await load(up)
        await logged(up, "mini:latest: there is not enough memory to compile it now")
        assert compiler(up) is None
        assert await reported(up) == "eager; it is compiled when the machine is idle"


async def test_a_model_that_is_deleted_meanwhile_costs_one_line(folder: Path):
    async with service(folder) as up:
        await load(up)
        for file in (folder / "mini").iterdir():
            file.unlink()
        (folder / "mini").rmdir()
        await logged(up, "mini:latest: it was not compiled: the model's files are gone")
        assert (await up.chat("count to 3", model="mini", stream=False))[0] in {200, 404, 500}


async def test_a_reload_that_wants_no_compiler_ends_it(folder: Path):
    async with service(folder, compile_seconds=60.0) as up:
        await load(up)
        process = await begun(up)
        file = folder / "vllama.yaml"
        file.write_text(file.read_text().replace("compile: auto", "compile: never"))
        up.send(signal.SIGHUP)
        await until_gone([process.pid], 10)
        await logged(up, "changed: engine.compile")


@pytest.mark.parametrize(("mode", "is_eager"), [("always", False), ("never", True)])
async def test_the_configuration_decides(folder: Path, mode: str, is_eager: bool):
    async with service(folder, mode) as up:
        await load(up)
        assert eager(up) == is_eager
        assert await reported(up) == ""


async def test_it_is_reported_how_an_engine_got_its_code(folder: Path):
    async with service(folder, "always") as up:
        for outcome in ("compiled", "loaded", "loaded"):
            await load(up)
            assert await code_of(up) == (outcome, "")
            await unload(up)
        assert await up.metric("vllama_compiled_code_total", outcome="compiled") == 1
        assert await up.metric("vllama_compiled_code_total", outcome="loaded") == 2
        assert "mini:latest: loading compiled code" in up.log


async def test_code_that_can_not_be_kept_is_reported_with_the_reason(folder: Path):
    async with service(folder, "always", keeps_no_code=True) as up:
        await load(up)
        outcome, fault = await code_of(up)
        assert (outcome, "No space left on device" in fault) == ("unkept", True)
        await logged(up, "each start compiles again")


async def test_code_that_kills_the_engine_is_removed_and_the_engine_comes_up(folder: Path):
    async with service(folder, "always", dies_of_code=True) as up:
        await load(up)
        await unload(up)
        await load(up)
        assert await code_of(up) == ("compiled", "")
        assert "the engine died loading compiled code; that code is removed" in up.log


async def code_of(up: LiveService) -> tuple[str, str]:
    _, answer = await up.get("/vllama/engines")
    (engine,) = answer["engines"]
    return engine.get("code_from", ""), engine.get("code_fault", "")
