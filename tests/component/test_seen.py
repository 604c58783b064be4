"""What somebody who looks at the whole service sees while a model loads, works and goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from tests.component.conftest import engine_of
from tests.live import LiveService


@asynccontextmanager
async def events(service: LiveService) -> AsyncIterator[aiohttp.StreamReader]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(service.url + "/vllama/events") as answer:
        assert answer.status == 200
        yield answer.content


async def status(stream: aiohttp.StreamReader) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while await stream.readline() != b"event: status\n":
            assert not stream.at_eof(), "the stream has ended"
        found: dict[str, Any] = orjson.loads((await stream.readline()).removeprefix(b"data: "))
        return found


async def test_a_load_is_seen_on_the_events_from_its_first_stage_to_its_end(service: LiveService):
    (service.folder / "tinychat" / "fake.json").write_text('{"start_seconds": 1.5}')
    async with service as up, events(service) as stream:
        while (await status(stream))["state"] != "ready":
            pass
        asking = asyncio.create_task(up.chat("count to 3"))
        seen = []
        while not seen or seen[-1]["phase"] != "ready":
            found = await status(stream)
            seen += [engine for engine in found["engines"] if engine["name"] == "tinychat:latest"]
        assert any(engine["phase"] == "starting" and engine["stage"] for engine in seen)
        assert any(engine["waiting"] == 1 for engine in seen)
        assert (await asking)[0] == 200


async def test_the_percent_of_a_load_moves_on_the_events(service: LiveService):
    (service.folder / "tinychat" / "fake.json").write_text('{"start_seconds": 10}')
    async with service as up, events(service) as stream:
        asking = asyncio.create_task(up.chat("count to 3"))
        seen: list[float] = []
        while not asking.done():
            for engine in (await status(stream))["engines"]:
                seen += [engine["percent"]] if "percent" in engine else []
        assert (await asking)[0] == 200
    assert len({*seen}) >= 2, "it moves"
    assert seen == sorted(seen)


async def test_the_engine_s_own_numbers_are_shown_while_it_works(shared, up):
    engine = await engine_of(shared)
    await engine.script(token_rate=20)
    asking = asyncio.create_task(up.chat("count to 700"))
    await engine.until(running=1)
    async with events(shared) as stream:
        while True:
            (seen,) = [one for one in (await status(stream))["engines"] if one["name"] == "tinychat:latest"]
            if seen.get("running") == 1 and seen.get("tokens_per_second", 0) > 0:
                break
    assert 0 <= seen["kv_used"] <= 1
    (live,) = (await up.get("/vllama/requests"))[1]["live"]
    assert (live["model"], live["phase"], live["route"]) == ("tinychat:latest", "decode", "/api/chat")
    asking.cancel()


async def test_who_listens_holds_up_no_stop_and_no_reload(service: LiveService):
    async with service:
        for _ in range(2):
            async with events(service) as stream:
                await status(stream)
                service.reconfigure()
                async with asyncio.timeout(20):
                    await stream.read()
        async with events(service) as stream:
            await status(stream)
            began = time.monotonic()
            await asyncio.to_thread(service.stop)
            await stream.read()
    assert time.monotonic() - began < 5
