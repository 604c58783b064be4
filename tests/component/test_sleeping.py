"""Where vLLM can sleep, a model that makes room keeps its process: over fake engines that say they are for GPUs."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import LiveService
from tests.processes import until_gone


def live(folder: Path, **more: Any) -> LiveService:
    """Two models and one place for them."""
    models = {name: {"source": str(scripted(folder, name))} for name in ("first", "second")}
    engine = {"python": str(interpreter.write(folder, "cuda")), "max_loaded": 1, "min_residence": "0s", "sleep": True}
    return LiveService(folder, {"engine": engine, "models": models, **more})


async def engines(up: LiveService) -> dict[str, dict[str, Any]]:
    _, answer = await up.get("/vllama/engines")
    return {one["name"].removesuffix(":latest"): one for one in answer["engines"]}


async def answered(up: LiveService, model: str) -> None:
    status, answer = await up.chat("count to 3", model=model, stream=False)
    assert status == 200, f"{answer}\n{up.log}"
    assert answer["message"]["content"] == "1, 2, 3"


async def test_a_model_that_makes_room_sleeps_and_is_woken_by_the_next_request(folder: Path):
    async with live(folder) as up:
        await answered(up, "first")
        before = (await engines(up))["first"]["pid"]
        await answered(up, "second")
        found = await engines(up)
        assert (found["first"]["phase"], found["second"]["phase"]) == ("asleep", "ready")
        _, loaded = await up.get("/api/ps")
        assert [one["name"] for one in loaded["models"]] == ["second:latest"]
        await answered(up, "first")
        found = await engines(up)
        assert (found["first"]["phase"], found["first"]["pid"]) == ("ready", before)
        assert found["second"]["phase"] == "asleep"


async def test_one_that_sleeps_is_unloaded_when_its_time_is_over(folder: Path):
    async with live(folder, keep_alive="1s") as up:
        await answered(up, "first")
        pid = (await engines(up))["first"]["pid"]
        await answered(up, "second")
        await until_gone([pid], 10)


async def test_one_that_is_unloaded_or_dies_in_its_sleep_is_started_again_when_it_is_asked_for(folder: Path):
    async with live(folder) as up:
        await answered(up, "first")
        await answered(up, "second")
        pid = (await engines(up))["first"]["pid"]
        os.kill(pid, signal.SIGKILL)
        await until_gone([pid], 10)
        await answered(up, "first")
        pid = (await engines(up))["second"]["pid"]
        assert (await up.post("/api/generate", {"model": "second", "keep_alive": 0}))[0] == 200
        await until_gone([pid], 10)
        await answered(up, "second")


@pytest.mark.parametrize("path", ["/sleep", "/wake_up", "/is_sleeping", "/collective_rpc", "/v1/sleep"])
async def test_the_engines_own_routes_are_reached_through_its_socket_only(folder: Path, path: str):
    async with live(folder) as up:
        await answered(up, "first")
        (socket,) = up.runtime.glob("first-*.sock")
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as direct,
            direct.get("http://engine/is_sleeping") as answer,
        ):
            assert answer.status == 200
        async with up.session.post(path, json={}) as answer:
            assert answer.status in {404, 405}
