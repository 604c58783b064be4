"""Serves an application on listening sockets, and lets a new one take over without a refused connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, cast

from aiohttp import web

from vllama.http.app import make_runner
from vllama.http.listener import BACKLOG

_ACCEPTED: Final = 128
"""Connections that are taken in one turn of the loop at most; streams wait meanwhile."""
_LAST_WORDS: Final = 10.0
"""Seconds for handlers to end once every engine is gone."""


class Server:
    """``serve`` first, ``close`` last. The sockets stay the caller's."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._listening: list[asyncio.Server] = []
        self._retired: set[asyncio.Task[None]] = set()

    async def serve(self, app: web.Application, sockets: Sequence[socket.socket]) -> None:
        """Take new connections with ``app``; those of the application before finish their answers."""
        runner = make_runner(app)
        await runner.setup()
        before, self._runner = self._runner, runner
        listened, self._listening = self._listening, await _listening(runner, sockets)
        if before is not None:
            await _stop(listened)
            retired = asyncio.create_task(before.cleanup())
            self._retired.add(retired)
            retired.add_done_callback(self._retired.discard)

    async def pause(self) -> None:
        """Take no new connections; they wait in the sockets' queues."""
        listened, self._listening = self._listening, []
        await _stop(listened)

    async def resume(self, sockets: Sequence[socket.socket]) -> None:
        """Take connections again after ``pause``."""
        if self._runner is not None:
            self._listening = await _listening(self._runner, sockets)

    async def close(self) -> None:
        """End what is left of all connections; call it when no answer can come any more."""
        await self.pause()
        endings = [*self._retired]
        if self._runner is not None:
            endings.append(asyncio.create_task(self._runner.cleanup()))
        if endings:
            _, late = await asyncio.wait(endings, timeout=_LAST_WORDS)
            for task in late:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _listening(runner: web.AppRunner, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
    """A server for each socket; it closes what it was given, and the sockets stay the caller's."""
    loop = asyncio.get_running_loop()
    factory = cast("Callable[[], asyncio.Protocol]", runner.server)  # there is one since ``setup``
    servers = [await loop.create_server(factory, sock=one.dup(), backlog=_ACCEPTED) for one in sockets]
    for one in sockets:
        one.listen(BACKLOG)  # asyncio has told the kernel its own number
    return servers


async def _stop(servers: Sequence[asyncio.Server]) -> None:
    """Take no new connections; whose connection is accepted already is answered.

    asyncio accepts in one turn of its loop and makes the transport in the next. A server that is closed between the
    two drops the client, and from Python 3.13 on the half-made transport prints a traceback when it is collected.
    """
    loop = asyncio.get_running_loop()
    for server in servers:
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
    try:
        await asyncio.sleep(0)
    finally:
        for server in servers:
            server.close()
