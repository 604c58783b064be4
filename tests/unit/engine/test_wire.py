"""Streams from an engine that is a few lines on a unix socket, byte by byte as the test wants them."""

from __future__ import annotations

import asyncio
import tempfile
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vllama.engine.client import EngineClient
from vllama.engine.wire import ConnectionPool, EngineConnection
from vllama.errors import EngineGone, EngineRefused

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(word: str) -> bytes:
    return chunk(b'data: {"word":"%b"}\n\n' % word.encode())


def nothing(_: bytes) -> None:
    """A short cut that knows nothing."""


class Engine:
    """``answer`` is written at once to each request; ``writers`` are the connections, in the order of their arrival."""

    def __init__(self) -> None:
        self.answer = b""
        self.writers: list[asyncio.StreamWriter] = []
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            self.requests.append(head + await reader.readexactly(size))
            writer.write(self.answer)
            self.asked.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        writer.close()


@pytest.fixture
def socket() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vl-") as folder:
        yield Path(folder) / "e"


@pytest.fixture
async def engine(socket) -> AsyncIterator[Engine]:
    engine = Engine()
    server = await asyncio.start_unix_server(engine.accept, socket)
    yield engine
    server.close()
    for writer in engine.writers:
        writer.close()


@pytest.fixture
async def client(engine, socket) -> AsyncIterator[EngineClient]:
    client = EngineClient(socket)
    yield client
    await client.close()


async def all_of(client: EngineClient) -> list[bytes]:
    async with client.stream("/x", {}) as events:
        return [payload async for payloads in events for payload in payloads]


async def test_a_stream_ends_with_done_and_its_connection_serves_the_next(engine, client):
    engine.answer = HEAD + event("a") + event("b") + chunk(DONE) + END
    for _ in range(3):
        assert await all_of(client) == [b'{"word":"a"}', b'{"word":"b"}']
    assert len(engine.writers) == 1
    assert engine.requests[0].endswith(b"\r\n\r\n{}")


async def test_after_done_nobody_waits_for_the_frames_end(engine, client):
    engine.answer = HEAD + event("a") + chunk(DONE)
    assert await all_of(client) == [b'{"word":"a"}']
    engine.writers[0].write(END)
    engine.answer = HEAD + event("b") + chunk(DONE) + END
    assert await all_of(client) == [b'{"word":"b"}']


async def test_each_event_is_poured_before_the_next_is_sent(engine, client):
    engine.answer = HEAD + event("first")
    seen: asyncio.Queue[list[bytes]] = asyncio.Queue()
    async with client.stream("/x", {}) as events:
        first = await anext(aiter(events))
        pouring = asyncio.create_task(events.pour(lambda payloads: seen.put_nowait(payloads) is None, nothing))
        for word in ("a", "b", "c"):
            engine.writers[0].write(event(word))
            assert await asyncio.wait_for(seen.get(), 10) == [b'{"word":"%b"}' % word.encode()]
        engine.writers[0].write(chunk(DONE) + END)
        await asyncio.wait_for(pouring, 10)
        assert events.done
    assert first == [b'{"word":"first"}']


async def test_what_the_short_cut_takes_is_not_cut_into_payloads(engine, client):
    engine.answer = HEAD + event("first")
    seen: asyncio.Queue[object] = asyncio.Queue()

    def take(data: bytes) -> bool | None:
        if b"short" not in data:
            return None
        seen.put_nowait(data)
        return b"last" not in data

    async with client.stream("/x", {}) as events:
        steps = aiter(events)
        await anext(steps)
        pouring = asyncio.create_task(events.pour(lambda payloads: seen.put_nowait(payloads) is None, take))
        for word, reported in (
            ("short", b'data: {"word":"short"}\n\n'),
            ("long", [b'{"word":"long"}']),
            ("short, last", b'data: {"word":"short, last"}\n\n'),
        ):
            engine.writers[0].write(event(word))
            assert await asyncio.wait_for(seen.get(), 10) == reported
        await asyncio.wait_for(pouring, 10)
        engine.writers[0].write(event("later") + chunk(DONE) + END)
        assert [one async for payloads in steps for one in payloads] == [b'{"word":"later"}']


async def test_the_short_cut_is_not_asked_in_the_middle_of_an_event(engine, client):
    engine.answer = HEAD + event("first")
    asked: list[bytes] = []
    seen: asyncio.Queue[list[bytes]] = asyncio.Queue()
    async with client.stream("/x", {}) as events:
        await anext(aiter(events))
        engine.writers[0].write(chunk(b'data: {"word":') + chunk(b'"split"}\n\n'))
        pouring = asyncio.create_task(
            events.pour(lambda payloads: seen.put_nowait(payloads) is None, lambda data: asked.append(data))
        )
        assert await asyncio.wait_for(seen.get(), 10) == [b'{"word":"split"}']
        assert all(data.startswith(b"data: ") for data in asked)
        pouring.cancel()


async def test_pouring_stops_on_request_and_nothing_is_lost(engine, client):
    engine.answer = HEAD + event("first")
    seen = []

    def accept(payloads: list[bytes]) -> bool:
        seen.extend(payloads)
        return False

    async with client.stream("/x", {}) as events:
        steps = aiter(events)
        await anext(steps)
        engine.writers[0].write(event("a"))
        await events.pour(accept, nothing)
        assert seen == [b'{"word":"a"}']
        engine.writers[0].write(event("b") + event("c") + chunk(DONE) + END)
        assert [one async for payloads in steps for one in payloads] == [b'{"word":"b"}', b'{"word":"c"}']


async def test_what_the_taker_raises_is_raised_where_the_answer_is_awaited(engine, client):
    engine.answer = HEAD + event("first")

    def refuse(_: list[bytes]) -> bool:
        raise EngineRefused("no", status=400)

    async with client.stream("/x", {}) as events:
        await anext(aiter(events))
        engine.writers[0].write(event("a") + chunk(DONE) + END)
        with pytest.raises(EngineRefused, match="no"):
            await events.pour(refuse, nothing)
    await asyncio.wait_for(engine.left.wait(), 10)


@pytest.mark.parametrize("answer", [b"", HEAD, HEAD + event("a"), HEAD + event("a")[:-4], HEAD + event("a") + END])
async def test_a_stream_that_breaks_before_done_is_an_engine_that_is_gone(engine, client, answer):
    engine.answer = answer
    reading = asyncio.create_task(all_of(client))
    await engine.asked.wait()
    engine.writers[0].close()
    with pytest.raises(EngineGone):
        await asyncio.wait_for(reading, 10)


async def test_what_is_no_http_is_an_engine_that_is_gone(engine, client):
    engine.answer = b"SSH-2.0-x\r\n\r\n"
    with pytest.raises(EngineGone):
        await all_of(client)


async def test_a_refusal_is_read_whole_and_the_connection_stays(engine, client):
    text = b'{"error":{"message":"too long","code":400}}'
    engine.answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n" % len(text) + text
    for _ in range(2):
        with pytest.raises(EngineRefused, match="too long"):
            await all_of(client)
    assert len(engine.writers) == 1


async def test_leaving_an_unfinished_answer_closes_its_connection(engine, client):
    engine.answer = HEAD + event("a")
    async with client.stream("/x", {}) as events:
        await anext(aiter(events))
    await asyncio.wait_for(engine.left.wait(), 10)


@pytest.mark.parametrize("poured", [False, True])
async def test_closing_the_client_wakes_waiting_callers(engine, client, poured):
    engine.answer = HEAD + event("a")

    async def wait() -> None:
        async with client.stream("/x", {}) as events:
            steps = aiter(events)
            await anext(steps)
            if poured:
                await events.pour(lambda _: True, nothing)
            await anext(steps)

    waiting = asyncio.create_task(wait())
    await engine.asked.wait()
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(EngineGone):
        await asyncio.wait_for(waiting, 10)


async def test_an_engine_that_nobody_reads_has_to_wait(engine, client):
    engine.answer = HEAD + event("first")
    async with client.stream("/x", {}) as events:
        await anext(aiter(events))
        many = event("x" * 60_000) * 100
        engine.writers[0].write(many)
        before = client.bytes_read
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.writers[0].drain(), 0.5)
        assert client.bytes_read - before < len(many) / 2


def test_a_thousand_open_streams_need_no_more_memory_the_longer_they_run():
    """No sockets: the bytes are put where the event loop would put them."""
    pool = ConnectionPool(Path("/nowhere"))
    connections = [EngineConnection(pool) for _ in range(1000)]
    passed = 0

    def accept(data: bytes) -> bool:
        nonlocal passed
        passed += 1
        return True

    def arrives(connection: EngineConnection, data: bytes) -> None:
        connection.get_buffer(-1)[: len(data)] = data
        connection.buffer_updated(len(data))

    for connection in connections:
        arrives(connection, HEAD)
        connection._accept = accept  # what ``pour`` does before it waits
    sizes = []
    tracemalloc.start()
    for _ in range(4):
        for connection in connections:
            arrives(connection, event("word"))
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert passed == 4000
    assert sizes[-1] - sizes[0] < 20_000
