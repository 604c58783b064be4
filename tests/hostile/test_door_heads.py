"""Whatever a request looks like, its answer is ours: JSON of the dialect, a fitting status, no name of a library."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.client import Client
from tests.hostile.heartbeat import Heartbeat
from tests.hostile.raw import Raw, request
from tests.hostile.test_door_callers import configured
from tests.live import LiveService

PATHS = ("/api/chat", "/v1/chat/completions", "/v1/messages")
LARGE = "x" * 65_536
LOCAL = "Host: localhost\r\n"
CHUNKED = f"{LOCAL}Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"model":"tinychat"}'


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("head", "more", "status"),
    [
        (f"POST {{}} HTTP/1.1\r\n{LOCAL}Content-Type: {LARGE}\r\n\r\n", b"", 431),
        (f"POST {{}} HTTP/1.1\r\n{LOCAL}{LARGE}: x\r\n\r\n", b"", 431),
        (f"POST {{}}?{LARGE} HTTP/1.1\r\n{LOCAL}\r\n", b"", 431),
        (f"POST {{}} HTTP/1.1\r\n{LOCAL}" + "a: b\r\n" * 500 + "\r\n", b"", 400),
        (f"POST {{}} HTTP/1.1\r\n{LOCAL}Content-Length: x\r\n\r\n", b"", 400),
        (f"POST {{}} HTTP/1.1\r\n{LOCAL}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"", 400),
        (f"POST {{}} HTTP/1.1\r\n{LOCAL}Content-Length: {1 << 40}\r\n\r\n", b"", 413),
        (f"POST {{}} HTTP/1.1\r\n{LOCAL}Expect: wonders\r\nContent-Length: 0\r\n\r\n", b"", 417),
        (f"POST {{}} HTTP/9.9\r\n{LOCAL}\r\n", b"", 400),
        (f"POST http://xn--a{{}} HTTP/1.1\r\n{LOCAL}Content-Length: 0\r\n\r\n", b"", 403),
        (f"POST http://[::1{{}}{LARGE[:5000]} HTTP/1.1\r\n{LOCAL}\r\n", b"", 400),
        (f"WONDER {{}} HTTP/1.1\r\n{LOCAL}\r\n", b"", 400),
        (f"p\xf6st {{}} HTTP/1.1\r\n{LOCAL}\r\n", b"", 400),
        (f"POST {{}} HTTP/1.1\r\n{CHUNKED}", b"zz\r\n", 400),
        (f"POST {{}} HTTP/1.1\r\n{CHUNKED}", chunk(BODY, b";" + b"a" * (1 << 20)) + chunk(b""), 400),
        (
            f"POST {{}} HTTP/1.1\r\n{CHUNKED}",
            chunk(BODY[:5]) + chunk(BODY[5:], b";a=" + b"b" * (1 << 20)) + chunk(b""),
            400,
        ),
        (f"POST {{}} HTTP/1.1\r\n{CHUNKED}", chunk(BODY) + b"0\r\n" + b"a: b\r\n" * 50_000 + b"\r\n", 400),
    ],
)
async def test_what_can_not_be_read_is_refused_in_the_words_of_its_dialect(up: Client, path, head, more, status):
    async with Raw(up.url, buffer=1 << 20) as raw:
        await raw.send(head.format(path).encode("latin-1") + more)
        line, headers, body = parsed(await raw.read())
    assert line.split(" ")[1] == str(status), (line, body)
    assert "aiohttp" not in headers.lower() + body.lower()
    assert "application/json" in headers
    error = json.loads(body)
    assert isinstance(error["error"], str) if path.startswith("/api/") else error["error"]["message"]
    assert (error.get("type") == "error") is (path == "/v1/messages")
    assert len(body) < 1000


def parsed(answer: bytes) -> tuple[str, str, str]:
    """Status line, the other headers, body."""
    head, _, body = answer.decode("latin-1").partition("\r\n\r\n")
    line, _, headers = head.partition("\r\n")
    return line, headers, body


async def test_small_chunks_are_a_body_like_any_other(up: Client):
    body = b"".join(chunk(bytes([one])) for one in BODY) + chunk(b"")
    async with Raw(up.url) as raw:
        await raw.send(f"POST /api/show HTTP/1.1\r\n{CHUNKED}".encode() + body)
        assert b" 200 " in await raw.read()


@pytest.mark.parametrize("method", ["PROPFIND", "TRACE", "PUT", "PATCH", "CONNECT", "QUERY"])
async def test_a_method_that_no_route_has_is_refused(up: Client, method: str):
    async with Raw(up.url) as raw:
        await raw.send(request("/api/chat", b"", method=method))
        line, headers, _ = parsed(await raw.read())
    assert line.split(" ")[1] in {"400", "404", "405"}
    assert "aiohttp" not in headers


async def test_a_body_that_breaks_off_between_its_chunks_is_a_bad_request(up: Client):
    async with Raw(up.url) as raw:
        await raw.send(f"POST /api/chat HTTP/1.1\r\n{CHUNKED}".encode() + chunk(b"{"))
        await up.until_metric("vllama_requests_in_flight", 2)
        await raw.send(b"nonsense\r\n")
        assert parsed(await raw.read())[0].split(" ")[1] == "400"


async def test_no_client_writes_lines_of_its_own_into_the_log(folder: Path):
    service: LiveService = configured(folder, {}, log={"access": True, "level": "debug"})
    async with service, Raw(service.url) as raw:
        forged = "/x%0A12:00:00%20ERROR%20forged%1b[31m"
        await raw.send(request(forged, b"", "X-Request-Id: a\x85c", method="GET"))
        assert b" 404 " in await raw.read()
        await service.get("/api/version")
        (line,) = (line for line in service.log.split("\n") if "forged" in line)
        assert forged in line
        assert line.isprintable()


async def test_a_form_of_a_thousand_files_opens_none(up: Client, shared: LiveService):
    part = '--x\r\nContent-Disposition: form-data; name="f{}"; filename="f"\r\n\r\na\r\n'
    body = "".join(map(part.format, range(20_000))).encode() + b"--x--\r\n"
    before, answer = psutil.Process(shared.pid).num_fds(), b""
    async with Raw(up.url) as raw:
        await raw.send(request("/v1/audio/transcriptions", body, "Content-Type: multipart/form-data; boundary=x"))
        answer = await raw.read()
    assert b" 400 " in answer
    assert psutil.Process(shared.pid).num_fds() < before + 50


async def test_requests_that_are_sent_ahead_are_answered_or_refused_and_cost_no_memory(up: Client, shared: LiveService):
    before = psutil.Process(shared.pid).memory_info().rss
    async with Raw(up.url, buffer=1 << 20) as raw:
        for _ in range(20):
            await raw.send(request("/api/version", b"", method="GET"))
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 20:
            answers += await raw.read()
    async with Raw(up.url) as raw:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(5):
                await raw.send(request("/api/version", b"", method="GET") * 1_000_000)
        assert psutil.Process(shared.pid).memory_info().rss - before < 32 << 20
    assert (await up.get("/api/version"))[0] == 200


async def test_a_protocol_that_nobody_speaks_is_not_kept_in_memory(up: Client, shared: LiveService):
    asked = request("/api/version", b"", "Connection: Upgrade", "Upgrade: websocket", method="GET")
    before = psutil.Process(shared.pid).memory_info().rss
    async with Raw(up.url) as raw:
        await raw.send(asked)
        assert b" 200 " in await raw.read()
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(3):
                await raw.send(b"\x00" * (256 << 20))
        assert psutil.Process(shared.pid).memory_info().rss - before < 32 << 20


async def test_headers_of_proxies_as_long_as_they_may_be_silence_nobody(up: Client, heart: Heartbeat):
    listed = ["X-Forwarded-For: " + "," * 8_000, "Forwarded: " + "for=a," * 1_300]

    async def attack() -> None:
        for header in listed:
            async with Raw(up.url) as raw:
                await raw.send(request("/api/tags", b"", *[header] * 120, method="GET"))
                assert b"HTTP/1.1 " in await raw.read()

    assert await heart.silence_of(attack, enough=0.5) < 0.5
