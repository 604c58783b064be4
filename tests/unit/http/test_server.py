"""One application takes over from another, with no connection lost between them."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web

from vllama.http.listener import BACKLOG, bind
from vllama.http.server import HttpServer

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

MOST = int(Path("/proc/sys/net/core/somaxconn").read_text())


def application(name: str) -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=name)

    app = web.Application()
    app.router.add_get("/", answer)
    return app


@pytest.fixture
async def listeners() -> AsyncIterator[list[socket.socket]]:
    found = bind("127.0.0.1", 0)
    yield found
    for one in found:
        one.close()


async def asked(client: socket.socket) -> bytes:
    """The answer's last line."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, REQUEST)
    answer = b""
    while more := await asyncio.wait_for(loop.sock_recv(client, 4096), 10):
        answer += more
    return answer.rpartition(b"\r\n")[2]


def connected(listener: socket.socket) -> socket.socket:
    client = socket.create_connection(listener.getsockname())
    client.setblocking(False)
    return client


@pytest.mark.parametrize("turns", range(4))
async def test_a_client_that_connects_while_another_application_takes_over_is_answered(listeners, turns, monkeypatch):
    """``turns``: how far asyncio is with the connection: not seen, accepted, with a transport."""
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: lost.append(found.exc_value))
    server = HttpServer()
    await server.serve(application("old"), listeners)
    with closing(connected(listeners[0])) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.serve(application("new"), listeners)
        assert await asked(client) in {b"old", b"new"}
    await server.close()
    assert not lost


async def test_whoever_has_just_connected_may_still_ask_the_application_before(listeners):
    server = HttpServer()
    await server.serve(application("old"), listeners)
    with closing(connected(listeners[0])) as client, closing(connected(listeners[0])) as another:
        while len(server.crowd) < 2:
            await asyncio.sleep(0)
        await server.serve(application("new"), listeners)
        assert await asked(another) == b"old"  # a whole request later
        assert await asked(client) == b"old"
    await server.close()


async def test_connections_wait_while_the_server_pauses(listeners):
    server = HttpServer()
    await server.serve(application("one"), listeners)
    await server.pause()
    with closing(connected(listeners[0])) as client:
        waiting = asyncio.create_task(asked(client))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await server.resume(listeners)
        assert await waiting == b"one"
    await server.close()


async def test_a_burst_of_clients_finds_room_in_the_queue(listeners):
    """``listen`` with a smaller number would make the queue smaller that ``bind`` made."""
    server = HttpServer()
    await server.serve(application("one"), listeners)
    assert queue_of(listeners[0]) == min(BACKLOG, MOST)
    await server.close()


def queue_of(listener: socket.socket) -> int:
    """How many connections may wait: in ``struct tcp_info`` the kernel tells it where others have ``tcpi_sacked``."""
    reported = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(reported[28:32], sys.byteorder)
