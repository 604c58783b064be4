"""What holds too much is refused before an engine sees it, and the next client is served at once."""

from __future__ import annotations

import asyncio
import io
import time

import orjson
import psutil
import pytest

from tests.client import Client
from tests.component.conftest import engine_of
from tests.excess import LOOSENED, REQUESTS
from tests.live import LiveService

REFUSED_WITHIN, SERVED_WITHIN = 10.0, 5.0
GROWS_BY = 512 << 20
"""Bytes that the service may keep after all of them: the largest body is 10 MB."""


async def test_what_holds_too_much_is_refused_and_the_next_client_served(shared: LiveService, up: Client):
    engine = await engine_of(shared)
    before = psutil.Process(shared.pid).memory_info().rss
    for kind, (path, body) in REQUESTS.items():
        began = time.monotonic()
        # this service has no embedder: what counts is that it says so as quickly
        async with up.session.post(path, data=io.BytesIO(orjson.dumps(body))) as answered:
            assert 400 <= answered.status < 500, (kind, answered.status)
            assert (await answered.json())["error"], kind
        refused = time.monotonic()
        async with asyncio.timeout(SERVED_WITHIN):
            status, answer = await up.chat("count to 3", stream=False)
        assert (status, answer["message"]["content"]) == (200, "1, 2, 3"), kind
        assert refused - began < REFUSED_WITHIN, kind
    seen = [body["messages"][0]["content"] for body in (await engine.state())["seen"] if "messages" in body]
    assert set(seen) <= {"count to 3"}
    assert psutil.Process(shared.pid).memory_info().rss - before < GROWS_BY


@pytest.mark.parametrize("keyword", LOOSENED)
async def test_a_part_of_a_schema_that_is_too_much_is_left_out_and_named(up: Client, keyword: str):
    _, schema = LOOSENED[keyword]
    body = {"model": "tinychat", "messages": [{"role": "user", "content": "count to 3"}], "format": schema}
    async with asyncio.timeout(SERVED_WITHIN), up.session.post("/api/chat", json=body) as answer:
        assert answer.status == 200
        assert keyword in answer.headers["X-Vllama-Ignored"]


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
async def test_a_body_over_the_limit_is_refused_before_it_is_read(shared: LiveService, up: Client, path: str):
    async def endless():
        for _ in range(1024):
            yield b" " * (1 << 20)

    before = psutil.Process(shared.pid).memory_info().rss
    async with asyncio.timeout(30), up.session.post(path, data=endless()) as answer:
        assert answer.status == 413
    assert (await up.chat("count to 3", stream=False))[0] == 200
    assert psutil.Process(shared.pid).memory_info().rss - before < GROWS_BY
