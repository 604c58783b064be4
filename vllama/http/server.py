"""Serves an application on listening sockets, and lets a new one take over without a refused connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

from aiohttp import web

from vllama.http.acceptor import Acceptor
from vllama.http.app import make_runner
from vllama.http.connection import ClientConnection
from vllama.http.crowd import Crowd
from vllama.http.limits import Limits

_FIRST_WORDS: Final = 2.0
"""Seconds in which a client that has connected sends its request, when another application takes over."""
_LAST_WORDS: Final = 10.0
"""Seconds for handlers to end once every engine is gone."""


class HttpServer:
    """``serve`` first, ``close`` last. The sockets stay the caller's."""

    def __init__(self, yielding: Callable[[], Collection[str]] = frozenset) -> None:
        """``yielding``: keys of the engines that another model waits for."""
        self.crowd = Crowd(yielding)
        self._runner: web.AppRunner | None = None
        self._acceptor = Acceptor(self._welcome, self.crowd.has_room)
        self._retired: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    async def serve(self, app: web.Application, sockets: Sequence[socket.socket], limits: Limits | None = None) -> None:
        """Take new connections with ``app``; those of the application before finish their answers."""
        runner = make_runner(app)
        await runner.setup()
        await self._acceptor.stop()
        before, self._runner = self._runner, runner
        self.crowd.limits = limits or self.crowd.limits
        self._acceptor.start(sockets)
        if before is not None:
            retired = asyncio.create_task(self._retire(before))
            self._retired.add(retired)
            retired.add_done_callback(self._retired.discard)

    async def _retire(self, runner: web.AppRunner) -> None:
        """Let who has just connected ask first: connections without a request are closed by what follows."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), _FIRST_WORDS)
        await runner.cleanup()

    async def pause(self) -> None:
        """Take no new connections; they wait in the sockets' queues."""
        await self._acceptor.stop()

    async def resume(self, sockets: Sequence[socket.socket]) -> None:
        """Take connections again after ``pause``."""
        if self._runner is not None:
            self._acceptor.start(sockets)

    async def close(self) -> None:
        """End what is left of all connections; call it when no answer can come any more."""
        self._closing.set()
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
        self.crowd.stop()

    def _welcome(self, peer: str) -> ClientConnection | None:
        manager = self._runner.server if self._runner is not None else None
        return self.crowd.welcome(manager, peer) if manager is not None else None
