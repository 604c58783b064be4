"""Plans and health of the whole service, and its answers as ``/vllama/openapi.json`` describes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.component.conftest import engine_of
from tests.fakes.hub import Hub, running
from tests.fakes.model_dir import TINYCHAT
from tests.live import LiveService
from tests.openapi import Description


@pytest.fixture
def hub() -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in TINYCHAT.iterdir() if path.is_file()}
    with running(Hub("acme/mini", files)) as one:
        yield one


async def test_a_model_is_planned_before_it_is_pulled(hub: Hub, service: LiveService, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    async with service as up:
        status, here = await up.get("/vllama/plan?model=tinychat")
        assert (status, here["model"], here["fits"]) == (200, "tinychat:latest", True)
        assert here["verdict"].startswith("fits: about ")
        assert "download" not in here
        status, there = await up.get("/vllama/plan?model=acme/mini")
        assert (status, there["fits"]) == (200, True)
        assert there["download"] == pytest.approx(len(hub.files["model.safetensors"]), rel=0.01)
        assert "acme/mini" not in str(await up.get("/api/tags")), "a plan pulls nothing"
        assert (await up.get("/vllama/plan?model=acme/gone"))[0] >= 400
        assert (await up.get("/vllama/plan?model=nobody"))[0] == 404
        assert (await up.get("/vllama/plan?model=x=/etc"))[0] == 400


async def test_health_shows_what_the_doctor_finds_and_what_failed(service: LiveService):
    async with service as up:
        async with asyncio.timeout(60):
            first, second = await asyncio.gather(up.get("/vllama/health"), up.get("/vllama/health"))
        assert first == second, "who asks at the same time gets the same"
        found = first[1]
        states = {check["name"]: check["state"] for check in found["checks"]}
        assert (states["engine"], states["port"], states["config"]) == ("ok", "ok", "ok")
        assert states["model"] == "ok"
        assert str(service.folder) not in str(found)
        await engine_of(service)
        for process in service.engines():
            process.kill()
        async with asyncio.timeout(20):
            while not (failures := (await up.get("/vllama/health"))[1]["failures"]):
                await asyncio.sleep(0.05)
        assert failures[0]["model"] == "tinychat:latest"
        assert failures[0]["cause"]


async def test_the_answers_are_as_described(service: LiveService):
    async with service as up:
        description = Description((await up.get("/vllama/openapi.json"))[1])
        await up.chat("count to 3")
        for path in ("status", "engines", "history", "requests", "health", "plan?model=tinychat", "slos"):
            status, found = await up.get(f"/vllama/{path}")
            assert description.faults("get", f"/vllama/{path}".partition("?")[0], status, found) == []
        async with asyncio.timeout(20):  # a configured engine is asked when it is first loaded
            while "engine_version" not in (status := (await up.get("/vllama/status"))[1]):
                await asyncio.sleep(0.1)
    (engine,) = status["engines"]
    assert 0 < engine["weights"] < engine["size"] > engine["kv_cache"] > 0
    assert engine["device"] == "cpu"
    assert engine["max_requests"] > 0
