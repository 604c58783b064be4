"""What the engine sends goes out in the read that brings it: no task between, one write for each read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from aiohttp import web
from aiohttp.http_writer import StreamWriter
from aiohttp.test_utils import make_mocked_request

from tests.unit.http.scripted import CHAT, Reply
from vllama.engine.wire import Accept
from vllama.http.relay import RelayedResponse, relay


class Transport(asyncio.Transport):
    """Keeps what is written; ``full`` is what a slow client leaves there."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.full = 0

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.full

    def is_closing(self) -> bool:
        return False


class Poured:
    """Gives ``first``, pours the rest as long as it is taken, and gives what is left."""

    def __init__(self, *items: bytes) -> None:
        self.items = list(items)
        self.poured = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.items:
            yield self.items.pop(0)

    async def pour(self, accept: Accept[bytes], short: Accept[bytes]) -> None:
        while self.items:
            self.poured += 1
            item = self.items.pop(0)
            if not (short(item) if item.startswith(b'"') else accept(item)):
                return


class Response(web.StreamResponse):
    """Prepared, chunked or not; counts what is written the long way."""

    def __init__(self, *, chunked: bool) -> None:
        super().__init__(headers={"Transfer-Encoding": "chunked"} if chunked else {})
        self.long_way: list[bytes] = []

    async def write(self, data: Any) -> None:
        self.long_way.append(bytes(data))


async def relayed(answer: Poured, *, chunked: bool = True, full: int = 0) -> tuple[Response, Transport]:
    transport, response = Transport(), Response(chunked=chunked)
    transport.full = full
    await relay(make_mocked_request("POST", "/", transport=transport), response, answer, bytes.upper, bytes.upper)
    return response, transport


async def test_after_the_first_every_read_is_one_write_without_the_handlers_task():
    answer = Poured(b"head", b"a", b"bb", b"c" * 17)
    response, transport = await relayed(answer)
    assert response.long_way == [b"HEAD"]
    assert transport.written == [b"1\r\nA\r\n", b"2\r\nBB\r\n", b"11\r\n" + b"C" * 17 + b"\r\n"]
    assert answer.poured == 3


async def test_a_text_that_came_as_json_goes_out_in_one_write_too():
    _, transport = await relayed(Poured(b"head", b'"a"', b"b"))
    assert transport.written == [b'3\r\n"A"\r\n', b"1\r\nB\r\n"]


async def test_the_head_goes_out_in_one_write_with_the_first_piece():
    transport = Transport()
    writer = StreamWriter(Mock(transport=transport, _drain_helper=AsyncMock()), asyncio.get_running_loop())
    request = make_mocked_request("POST", "/", transport=transport, writer=writer)
    response = RelayedResponse()
    await response.prepare(request)
    assert not transport.written
    await relay(request, response, Poured(b"a", b"b"), bytes.upper, bytes.upper)
    first, second = transport.written
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\n1\r\nA\r\n")
    assert second == b"1\r\nB\r\n"


async def test_steps_that_write_nothing_do_not_end_the_stream():
    _, transport = await relayed(Poured(b"a", b"", b"b"))
    assert transport.written == [b"1\r\nB\r\n"]


async def test_a_client_that_reads_slowly_is_waited_for_after_every_write():
    answer = Poured(b"a", b"b", b"c", b"d")
    response, transport = await relayed(answer, full=1 << 16)
    assert response.long_way == [b"A", b"C"]
    assert transport.written == [b"1\r\nB\r\n", b"1\r\nD\r\n"]


async def test_where_the_answer_is_not_chunked_everything_goes_the_long_way():
    answer = Poured(b"a", b"b")
    response, transport = await relayed(answer, chunked=False)
    assert (response.long_way, transport.written) == ([b"A", b"B"], [])


@pytest.mark.parametrize(
    ("path", "body", "last"),
    [
        ("/api/chat", b'{"model":"tinychat","messages":[{"role":"user","content":"x"}]}', b'"done":true'),
        (
            "/v1/chat/completions",
            b'{"model":"tinychat","stream":true,"messages":[{"role":"user","content":"x"}]}',
            b"data: [DONE]",
        ),
    ],
)
async def test_clients_that_speak_http_1_0_get_their_stream_unframed(server, path, body, last):
    """nginx asks so unless it is told otherwise."""
    host, _, port = server.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST %b HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body
    )
    head, _, answer = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.0 200 OK")
    assert b"chunked" not in head.lower()
    assert answer.startswith((b"{", b"data: {"))
    assert last in answer.splitlines()[-1] or last in answer.splitlines()[-2]


async def test_no_event_is_held_back_until_the_next(server):
    first = b'data: {"choices":[{"index":0,"delta":{"content":"one"},"logprobs":null,"finish_reason":null}]}\n\n'
    server.engine.replies[CHAT] = [Reply(parts=[first, first.replace(b"one", b"two")], hold=True)]
    body = {"model": "tinychat", "messages": [{"role": "user", "content": "x"}]}
    async with server.session.post(f"{server.base}/api/chat", json=body) as answer:
        seen = b""
        while b"two" not in seen:
            more = await asyncio.wait_for(answer.content.readany(), 30)
            assert more, seen
            seen += more
    assert seen.count(b"\n") == 2


async def test_an_event_that_can_not_be_read_ends_the_answer_at_once(server):
    """It came in one read with a good one, and the engine goes on as if nothing were."""
    good = b'data: {"choices":[{"index":0,"delta":{"content":"one"},"logprobs":null,"finish_reason":null}]}\n\n'
    server.engine.replies[CHAT] = [Reply(parts=[good + b'data: {"choices":[{}]}\n\n'], hold=True)]
    body = {"model": "tinychat", "messages": [{"role": "user", "content": "x"}]}
    async with server.session.post(f"{server.base}/api/chat", json=body) as answer:
        said, failed = (await asyncio.wait_for(answer.content.read(), 30)).splitlines()
    assert b'"content":"one"' in said
    assert b'"error":"the engine sent an event that can' in failed
