"""Nobody holds what he does not use: engines, memory, descriptors, connections."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.client import Client
from tests.component.conftest import engine_of
from tests.fakes.control import EngineControl
from tests.hostile.footprint import Footprint
from tests.hostile.raw import Raw, request
from tests.hostile.test_door_callers import configured
from tests.live import LiveService

STALL = 1.0
LIMITS = {"stall_timeout": STALL, "head_timeout": STALL, "idle_timeout": STALL}
SOON = 8.0
"""Seconds in which a limit of one second has long done its work, on a busy machine too."""
LONG = "word " * 60_000
MESSAGES = [{"role": "user", "content": "hi"}]
STRANGER = "127.0.0.9"
STREAMS: dict[str, dict[str, Any]] = {
    "/api/chat": {"messages": MESSAGES},
    "/api/generate": {"prompt": "hi"},
    "/v1/chat/completions": {"messages": MESSAGES, "stream": True},
    "/v1/completions": {"prompt": "hi", "stream": True},
    "/v1/responses": {"input": "hi", "stream": True},
    "/v1/messages": {"messages": MESSAGES, "stream": True, "max_tokens": 90_000},
}
WHOLE: dict[str, dict[str, Any]] = {
    "/api/chat": {"messages": MESSAGES, "stream": False},
    "/v1/chat/completions": {"messages": MESSAGES},
}


ROOMY = {"settings": {"env": {"FAKE_ENGINE": json.dumps({"max_model_len": 200_000})}}}


def talking(folder: Path, server: dict[str, Any]) -> LiveService:
    """A service whose engines talk without end once they are told to (``talk``)."""
    service = configured(folder, server)
    for model in service.config["models"].values():
        model |= ROOMY
    return service


async def talk(service: LiveService) -> EngineControl:
    """Its loaded engine says more than anybody reads."""
    engine = await engine_of(service)
    await engine.script(text=LONG)
    return engine


@pytest.fixture
async def strict(folder: Path) -> AsyncIterator[LiveService]:
    """One with short limits."""
    async with talking(folder, LIMITS) as service:
        yield service


@pytest.fixture(scope="module")
def short_of_patience() -> Iterator[LiveService]:
    """One like ``strict``, for all tests that ask for no model."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))
    service = configured(folder, LIMITS)
    service.start()
    yield service
    service.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def limited(short_of_patience: LiveService) -> AsyncIterator[Client]:
    async with Client(short_of_patience.url) as client:
        yield client


async def test_a_client_that_reads_nothing_is_cut_and_its_engine_is_free(strict: LiveService):
    engine, asked = await talk(strict), [*STREAMS.items(), *WHOLE.items()]
    async with AsyncExitStack() as stack:
        raws = []
        for path, more in asked:
            raws.append(await stack.enter_async_context(Raw(strict.url)))
            await raws[-1].ask(path, {"model": "tinychat", **more})
        await strict.until_metric("vllama_connections_closed_total", len(STREAMS), within=30, reason="slow_reader")
        await engine.until(running=0, waiting=0, within=60)
        await strict.until_metric("vllama_engine_leases", 0)
        await strict.until_metric("vllama_requests_in_flight", 1)  # the scrape itself
        for raw in raws:
            await raw.rest()
    assert strict.log.count("it does not read its answer") == 1  # a line a minute


async def test_a_client_that_reads_slowly_gets_all_of_its_answer(strict: LiveService):
    await talk(strict)
    async with Raw(strict.url) as raw:
        await raw.ask("/api/chat", {"model": "tinychat", "messages": MESSAGES, "options": {"num_predict": 20_000}})
        begun, answer = time.monotonic(), b""
        while b'"done":true' not in answer[-4000:]:
            part = await raw.read()
            assert part, answer[-200:]
            answer += part
            await asyncio.sleep(0 if time.monotonic() - begun > 4 * STALL else STALL / 10)
        assert time.monotonic() - begun > 2 * STALL


async def test_a_model_that_waits_for_memory_does_not_wait_for_clients_that_read_nothing(folder: Path):
    slow = 12.0
    service = talking(folder, {"stall_timeout": slow})
    service.config["engine"] |= {"max_loaded": 1, "min_residence": "0s"}
    few = {"options": {"num_predict": 3}, "stream": False}
    async with service, AsyncExitStack() as stack:
        await talk(service)
        for _ in range(3):
            raw = await stack.enter_async_context(Raw(service.url))
            await raw.ask("/api/chat", {"model": "tinychat", "messages": MESSAGES})
        await service.until_metric("vllama_engine_leases", 3)
        begun = time.monotonic()
        assert (await service.chat("hi", model="other", **few))[0] == 200
        assert time.monotonic() - begun < slow
        assert (await service.chat("hi", **few))[0] == 200


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "idle"),
        (b"POST /api/chat HTTP/1.1\r\nHost: loc", "slow_head"),
        (b"\r\n", "slow_head"),
        (request("/api/chat", b'{"model":', length=50), "slow_body"),
        (request("/v1/messages", b"{" * 70_000, length=80_000), "slow_body"),
        (request("/api/blobs/sha256:" + "0" * 64, b"x", length=1 << 40), "slow_body"),
        (b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{", "slow_body"),
        (request("/api/version", b"", method="GET"), "idle"),
    ],
)
async def test_a_client_that_stops_in_the_middle_is_not_waited_for(limited: Client, sent: bytes, reason: str):
    before = await limited.metric("vllama_connections_closed_total", reason=reason)
    async with Raw(limited.url) as raw:
        if sent:
            await raw.send(sent)
        answer = await raw.rest(within=SOON)
        assert (b" 408 " in answer) is (reason == "slow_body"), answer
    if reason != "slow_body":  # that one got an answer
        assert await limited.metric("vllama_connections_closed_total", reason=reason) > before


async def test_a_body_that_trickles_is_not_waited_for_and_a_slow_file_is(folder: Path):
    limits = {**LIMITS, "stall_timeout": 0.5, "min_rate": 2000}
    async with configured(folder, limits) as service, Raw(service.url) as trickle, Raw(service.url) as upload:
        await trickle.send(request("/api/chat", b"{", length=1 << 20))
        await upload.send(request("/api/blobs/sha256:" + "0" * 64, b"", length=60_000))
        for _ in range(60):  # 6 seconds, 12 times the limit
            await upload.send(b"x" * 1000)
            if not (answer := await answered(trickle)):
                await trickle.send(b" ")
            await asyncio.sleep(0.1)
        assert b" 408 " in answer
        assert b"digest mismatch" in await upload.read(within=SOON)


async def answered(raw: Raw) -> bytes:
    """What has come already."""
    try:
        return raw.socket.recv(1 << 16, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


async def test_half_read_bodies_stay_within_their_total(folder: Path):
    """64 bodies of 8 MiB that never end would be half a gigabyte."""
    body, total = 8 << 20, 32 << 20
    async with configured(folder, {"max_body": body, "max_bodies": total}) as service, AsyncExitStack() as stack:
        assert (await service.get("/api/tags"))[0] == 200
        before = Footprint.of(service)
        raws = [await stack.enter_async_context(Raw(service.url)) for _ in range(64)]
        sending = [asyncio.create_task(raw.send(request("/api/chat", b" " * (body - 1), length=body))) for raw in raws]
        refused = await asyncio.gather(*(raw.read(within=60) for raw in raws[8:]))  # most find no room
        assert all(b" 503 " in answer and b"retry-after:" in answer.lower() for answer in refused)
        assert (await service.get("/api/tags"))[0] == 200
        assert (await service.post("/api/show", {"model": "tinychat"}))[0] == 200
        assert Footprint.of(service).memory - before.memory < total + (48 << 20)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)


async def test_one_address_has_only_so_many_connections(folder: Path):
    async with configured(folder, {"client_connections": 10}) as service, AsyncExitStack() as stack:
        raws = [await stack.enter_async_context(Raw(service.url, source=STRANGER)) for _ in range(30)]
        for raw in raws:
            await raw.send(request("/api/version", b"", method="GET"))
        answers = await asyncio.gather(*(raw.read() for raw in raws))
        assert sum(b" 200 " in answer for answer in answers) == 10
        assert (await service.get("/api/version"))[0] == 200
        assert service.log.count("connections already") == 1


async def test_a_trusted_proxy_may_have_more(folder: Path):
    server = {"client_connections": 10, "trusted_proxies": [STRANGER]}
    async with configured(folder, server) as service, AsyncExitStack() as stack:
        for _ in range(30):
            raw = await stack.enter_async_context(Raw(service.url, source=STRANGER))
            await raw.send(request("/api/version", b"", method="GET"))
            assert b" 200 " in await raw.read()


async def test_idle_connections_shut_nobody_out(folder: Path):
    service = configured(folder, {})
    service.wrapper = ("prlimit", "--nofile=400:400")
    async with service, AsyncExitStack() as stack:
        for number in range(600):
            await stack.enter_async_context(Raw(service.url, source=f"127.0.1.{1 + number % 8}"))
        begun = time.monotonic()
        for _ in range(20):
            async with Raw(service.url, source="127.0.2.1") as honest:
                await honest.send(request("/api/version", b"", method="GET"))
                assert b" 200 " in await honest.read()
        assert time.monotonic() - begun < SOON
        assert service.log.count("connection") < 10
        status, answer = await service.chat("hi", stream=False)
        assert status == 200, answer


async def test_the_service_takes_all_the_descriptors_it_may_have(folder: Path):
    service = configured(folder, {})
    service.wrapper = ("prlimit", "--nofile=256:4096")
    async with service:
        assert psutil.Process(service.pid).rlimit(psutil.RLIMIT_NOFILE) == (4096, 4096)
