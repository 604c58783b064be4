"""An engine that closes the connections we keep, at every moment at which it may do so.

A server may close an idle connection whenever it likes, also while our next request is on its way. Then that request
was not read and belongs on a new connection; no caller may see that.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from vllama.engine.client import EngineClient
from vllama.errors import EngineGone

STREAM = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
DONE = b'data: {"word":"a"}\n\ndata: [DONE]\n\n'
WHOLE = b"content-length: 2\r\n\r\n{}"
LARGE = b'{"text":"' + b"x" * 4_000_000 + b'"}'  # more than the buffers of a socket hold

AT_ONCE = "with the answer"
IDLE = "while it is idle"
UNREAD = "before the request is read"
HEAD_READ = "when the head was read"
HALF_READ = "in the middle of the request"
ALL_READ = "when all of the request was read"


class Closing:
    """Answers the first request of each connection, and closes it at the given moment of its second one.

    ``answered`` has the body of each request that got an answer.
    """

    def __init__(self, moment: str, *, reset: bool = False) -> None:
        self.moment = moment
        self.reset = reset
        self.answered: list[bytes] = []
        self.connections = 0
        self.closed = asyncio.Event()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.answered.append(await self._body(reader, head))
            writer.write(b"HTTP/1.1 200 OK\r\n" + (STREAM % (len(DONE), DONE) if b"/stream" in head else WHOLE))
            await writer.drain()
            await self._until(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if self.reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, linger)
                writer.transport.abort()
            writer.close()
            self.closed.set()

    async def _until(self, reader: asyncio.StreamReader) -> None:
        """Until the moment to close."""
        if self.moment in {AT_ONCE, IDLE}:
            return
        if self.moment == UNREAD:
            while not reader._buffer and not reader.at_eof():  # something is there, and nobody takes it
                await asyncio.sleep(0)
            return
        head = await reader.readuntil(b"\r\n\r\n")
        size = self._size(head)
        await reader.readexactly({HEAD_READ: 0, HALF_READ: size // 2, ALL_READ: size}[self.moment])

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        return await reader.readexactly(self._size(head))

    @staticmethod
    def _size(head: bytes) -> int:
        found = head.lower().partition(b"content-length: ")[2]
        return int(found.split(b"\r\n")[0]) if found else 0


async def stream(client: EngineClient, body: bytes) -> None:
    async with client.stream("/stream", body) as events:
        assert [payload async for payloads in events for payload in payloads] == [b'{"word":"a"}']


async def call(client: EngineClient, body: bytes) -> None:
    assert await client.call("/call", body) == b"{}"


async def get(client: EngineClient, body: bytes) -> None:
    assert await client.get("/health") == b"{}"


@pytest.fixture
async def place() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vl-") as folder:
        yield Path(folder) / "e"


async def serving(server: Closing, place: Path) -> asyncio.Server:
    return await asyncio.start_unix_server(server.accept, place)


Ask = Callable[[EngineClient, bytes], Awaitable[None]]
MOMENTS = (AT_ONCE, IDLE, UNREAD, HEAD_READ, HALF_READ, ALL_READ)


@pytest.mark.parametrize("reset", [False, True], ids=["ended", "reset"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("ask", [stream, call, get])
async def test_nobody_sees_a_kept_connection_end(ask: Ask, moment: str, reset: bool, place: Path) -> None:
    server = Closing(moment, reset=reset)
    client = EngineClient(place)
    bodies = [b'{"n":%d}' % number for number in range(6)] + [LARGE]
    async with await serving(server, place):
        for number, body in enumerate(bodies):
            await asyncio.wait_for(ask(client, body), 10)
            if moment == IDLE and number % 2:  # the loop has seen the end of one, and not of the other
                await asyncio.wait_for(server.closed.wait(), 10)
                await asyncio.sleep(0.01)
            server.closed.clear()
        await client.close()
    assert server.answered == ([b""] * len(bodies) if ask is get else bodies)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("ask", [stream, call])
async def test_many_at_once_are_all_answered_and_once(ask: Ask, moment: str, place: Path) -> None:
    server = Closing(moment)
    client = EngineClient(place)
    async with await serving(server, place):
        for round_ in range(4):
            bodies = [b'{"n":%d,"round":%d}' % (number, round_) for number in range(20)]
            await asyncio.wait_for(asyncio.gather(*(ask(client, body) for body in bodies)), 20)
            assert sorted(server.answered) == sorted(bodies)
            server.answered.clear()
        await client.close()


@pytest.mark.parametrize("ask", [stream, call, get])
async def test_an_engine_that_closes_new_connections_is_gone(ask: Ask, place: Path) -> None:
    asked = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    client = EngineClient(place)
    async with await asyncio.start_unix_server(refuse, place):
        with pytest.raises(EngineGone):
            await asyncio.wait_for(ask(client, b"{}"), 10)
        await client.close()
    assert len(asked) == 1  # nothing is asked again and again


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 2", b"SSH-2.0\r\n\r\n"])
@pytest.mark.parametrize("ask", [stream, call])
async def test_what_began_to_be_answered_is_not_asked_again(ask: Ask, beginning: bytes, place: Path) -> None:
    asked = []

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            asked.append(await reader.readexactly(Closing._size(head)))
            if len(asked) == 2:
                writer.write(beginning)
                await writer.drain()
                writer.close()
                return
            writer.write(b"HTTP/1.1 200 OK\r\n" + (STREAM % (len(DONE), DONE) if b"/stream" in head else WHOLE))

    client = EngineClient(place)
    async with await asyncio.start_unix_server(half, place):
        await asyncio.wait_for(ask(client, b"[1]"), 10)
        with pytest.raises(EngineGone):
            await asyncio.wait_for(ask(client, b"[2]"), 10)
        await client.close()
    assert asked == [b"[1]", b"[2]"]


@pytest.mark.parametrize("ask", [stream, call, get])
async def test_a_client_that_was_closed_asks_nobody(ask: Ask, place: Path) -> None:
    server = Closing(IDLE)
    client = EngineClient(place)
    async with await serving(server, place):
        await client.close()
        with pytest.raises(EngineGone):
            await asyncio.wait_for(ask(client, b"{}"), 10)
    assert server.connections == 0
