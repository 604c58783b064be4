"""What somebody who looks at a service with a real vLLM sees while a model loads, and once it is ready."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.client import Client
from tests.component.test_seen import events, status
from tests.real import LOAD_SECONDS, RealService


async def named(stream: asyncio.StreamReader, model: str) -> dict[str, Any] | None:
    """Its engine in the next status."""
    return next((one for one in (await status(stream))["engines"] if one["name"] == f"{model}:latest"), None)


async def test_a_load_comes_nearer_to_its_end_and_then_shows_what_it_takes(real: RealService):
    async with Client(real.url) as client, events(real) as stream, asyncio.timeout(LOAD_SECONDS):
        await client.post("/api/generate", {"model": "tinychat", "keep_alive": 0})
        while await named(stream, "tinychat"):
            pass
        asking = asyncio.create_task(client.chat("Hello, who are you?", stream=False))
        percents: list[float] = []
        while (engine := await named(stream, "tinychat")) is None or engine["phase"] != "ready":
            percents += [engine["percent"]] if engine and "percent" in engine else []
        assert (await asking)[0] == 200
        assert (await client.get("/vllama/status"))[1]["engine_version"]
    assert len({*percents}) >= 2, "it moves"
    assert percents == sorted(percents)
    assert engine["device"] == "cpu"
    assert 0 < engine["weights"] < engine["size"] > engine["kv_cache"] > 0
    assert engine["max_requests"] > 0
