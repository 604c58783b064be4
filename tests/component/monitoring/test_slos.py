"""The real service counts requests for its objectives, over restarts and reloads."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.component.conftest import engine_of
from tests.live import LiveService

CHAT = {"models": ["tinychat"], "ttft": "30s at 95 %", "success": "99 %"}


@pytest.fixture
def promising(service: LiveService) -> LiveService:
    service.config["slos"] = {"chat": CHAT}
    return service


async def objectives(service: LiveService) -> dict[str, Any]:
    status, answer = await service.get("/vllama/slos")
    assert status == 200
    return {one["objective"]: one for one in answer["slos"]}


async def counted(service: LiveService) -> dict[str, tuple[int, int]]:
    return {kind: (one["requests"], one["good"]) for kind, one in (await objectives(service)).items()}


async def test_only_what_the_service_did_wrong_spends_the_budget(promising: LiveService):
    async with promising as service:
        assert (await service.chat("hello"))[0] == 200
        assert (await service.chat("hello", model="other"))[0] == 200
        assert (await service.chat("hello", model="none"))[0] == 404
        assert (await service.post("/api/chat", {"model": "tinychat", "messages": "no list"}))[0] == 400
        assert (await service.get("/api/tags"))[0] == 200
        assert await counted(service) == {"ttft": (1, 1), "success": (1, 1)}
        engine = await engine_of(service)  # loads by a request, which has no token
        await engine.script(trouble="error", after_tokens=1)
        _, lines = await service.chat("hello")  # begins with 200, ends with an error
        assert "error" in lines[-1]
        found = await objectives(service)
        assert (found["ttft"]["requests"], found["success"]["requests"], found["success"]["good"]) == (1, 3, 2)
        assert found["success"]["budget_left"] == pytest.approx(1 - 1 / 3 / 0.01, rel=1e-4)
        assert await service.metric("vllama_slo_bad_requests_total", slo="chat", objective="success") == 1
        assert await service.metric("vllama_slo_burning", objective="success", severity="page") == 1


async def test_counts_outlive_a_restart_and_a_reload(promising: LiveService):
    async with promising as service:
        assert (await service.chat("hello"))[0] == 200
    assert json.loads((promising.folder / "state" / "slos.json").read_text())["objectives"]
    async with promising as service:
        assert await counted(service) == {"ttft": (1, 1), "success": (1, 1)}
        service.config["slos"] = {"chat": {**CHAT, "success": "99.9 %"}, "all": {"success": "50 %"}}
        service.reconfigure()
        async with asyncio.timeout(10):
            while len((await service.get("/vllama/slos"))[1]["slos"]) != 3:
                await asyncio.sleep(0.02)
        assert (await objectives(service))["ttft"]["requests"] == 1


async def test_a_broken_file_of_counts_stops_nothing(promising: LiveService, folder: Path):
    (folder / "state").mkdir()
    (folder / "state" / "slos.json").write_text("{")
    async with promising as service:
        assert (await service.chat("hello"))[0] == 200
        assert await counted(service) == {"ttft": (1, 1), "success": (1, 1)}
        assert "slos.json is broken and was renamed to slos.json.broken" in service.log
