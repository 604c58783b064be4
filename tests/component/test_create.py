"""Derived models through the whole service: they share their base's engine, with or without an adapter."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from tests.component.conftest import engine_of
from tests.fakes.control import EngineControl
from tests.live import LiveService
from tests.unit.models.model_files import safetensors

LORA = safetensors({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": ("F32", (4, 160))})


@pytest.fixture
async def live(service: LiveService):
    async with service:
        yield service


async def upload(live: LiveService, data: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    async with live.session.post(f"/api/blobs/{digest}", data=data) as answer:
        assert answer.status in {200, 201}
    return digest


async def test_a_derived_model_is_asked_on_its_bases_engine(live: LiveService):
    status, lines = await live.post("/api/create", {"model": "pirate", "from": "tinychat", "system": "Say Arr."})
    assert (status, lines[-1]) == (200, {"status": "success"})
    engine = await engine_of(live)
    for model in ("tinychat", "pirate"):
        assert (await live.chat("hello", model=model, stream=False))[0] == 200
    state = await engine.state()
    assert [body["messages"][0]["content"] for body in state["seen"][-2:]] == ["hello", "Say Arr."]
    _, loaded = await live.get("/api/ps")
    assert len(loaded["models"]) == 1


async def create_tuned(live: LiveService) -> None:
    config = json.dumps({"peft_type": "LORA", "r": 4}).encode()
    files = {"adapter_config.json": await upload(live, config), "adapter_model.safetensors": await upload(live, LORA)}
    status, lines = await live.post("/api/create", {"model": "tuned", "from": "tinychat", "adapters": files})
    assert (status, lines[-1]) == (200, {"status": "success"})


async def test_an_adapter_that_is_made_and_asked_for_while_its_base_starts_is_served(service: LiveService):
    (service.folder / "tinychat" / "fake.json").write_text('{"start_seconds": 0.5}')
    async with service as live:
        base = asyncio.create_task(live.chat("hello", stream=False))
        await live.until_metric("vllama_engine_state", 1, model="tinychat:latest", state="starting")
        await create_tuned(live)
        status, answer = await live.chat("hello", model="tuned", stream=False)
        assert status == 200, answer
        assert (await base)[0] == 200


async def test_an_adapter_joins_the_bases_engine_after_one_new_start(live: LiveService):
    before = (await (await engine_of(live)).state())["pid"]
    await create_tuned(live)
    assert (await live.chat("hello", model="tuned", stream=False))[0] == 200
    (socket,) = live.runtime.glob("*.sock")
    engine = EngineControl(socket)
    after = (await engine.state())["pid"]
    assert after != before
    for model in ("tinychat", "tuned"):
        assert (await live.chat("hello", model=model, stream=False))[0] == 200
    state = await engine.state()
    first, base, second = [body["model"] for body in state["seen"] if "messages" in body][-3:]
    assert first == second != base
    assert state["pid"] == after
    _, loaded = await live.get("/api/ps")
    assert len(loaded["models"]) == 1
