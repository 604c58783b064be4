"""Serves an application on listening sockets, and lets a new one take over without a refused connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiohttp import web

from vllama.http.app import make_runner

_LAST_WORDS: Final = 10.0
"""Seconds for handlers to end once every engine is gone."""


class Server:
    """``serve`` first, ``close`` last. The sockets stay the caller's."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._retired: set[asyncio.Task[None]] = set()

    async def serve(self, app: web.Application, sockets: Sequence[socket.socket]) -> None:
        """Take new connections with ``app``; those of the application before finish their answers."""
        runner = make_runner(app)
        await runner.setup()
        before, self._runner = self._runner, runner
        for listener in sockets:
            await web.SockSite(runner, listener.dup()).start()  # a site closes what it was given
        if before is not None:
            await _stop_listening(before)
            retired = asyncio.create_task(before.cleanup())
            self._retired.add(retired)
            retired.add_done_callback(self._retired.discard)

    async def pause(self) -> None:
        """Take no new connections; they wait in the sockets' queues."""
        if self._runner is not None:
            await _stop_listening(self._runner)

    async def resume(self, sockets: Sequence[socket.socket]) -> None:
        """Take connections again after ``pause``."""
        if self._runner is not None:
            for listener in sockets:
                await web.SockSite(self._runner, listener.dup()).start()

    async def close(self) -> None:
        """End what is left of all connections; call it when no answer can come any more."""
        endings = [*self._retired]
        if self._runner is not None:
            endings.append(asyncio.create_task(self._runner.cleanup()))
        if endings:
            _, late = await asyncio.wait(endings, timeout=_LAST_WORDS)
            for task in late:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _stop_listening(runner: web.AppRunner) -> None:
    for site in tuple(runner.sites):
        await site.stop()
