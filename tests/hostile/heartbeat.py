"""Watches from outside how long the service's event loop is silent, with a process of its own.

The process asks for ``/api/version`` every 20 ms on a connection that it keeps. That answer costs the service nothing,
so that the time it takes is the time that the loop was busy with something else. A process of its own, because a test
that makes large bodies would measure its own pauses.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Self
from urllib.parse import urlsplit

EVERY = 0.02
_TRIES = 3


class Heartbeat:
    """``async with Heartbeat(service.url) as heart``: ``await heart.longest()`` is the longest silence since then."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        argv = (sys.executable, "-I", __file__, str(self._url.hostname), str(self._url.port))
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe)
        await self.longest()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def longest(self) -> float:
        """Seconds of the longest silence since this was last asked; one that lasts still counts so far."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return float(await self._process.stdout.readline())

    async def silence_of(self, attack: Callable[[], Awaitable[object]], *, enough: float) -> float:
        """The longest silence while ``attack`` runs.

        One above ``enough`` is tried again, and the shortest counts: on a busy machine anything may take long once,
        and what makes the loop silent does so each time.
        """
        shortest = float("inf")
        for _ in range(_TRIES):
            await self.longest()
            await attack()
            shortest = min(shortest, await self.longest())
            if shortest <= enough:
                break
        return shortest


class _Probe:
    """The process: a thread asks, the main thread tells."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._lock = threading.Lock()
        self._longest = 0.0
        self._asked: float | None = None

    def ask(self) -> None:
        """Ask for ever; a connection that breaks is made again, and the silence goes on meanwhile."""
        connection: socket.socket | None = None
        while True:
            with self._lock:
                self._asked = time.monotonic()
            while True:
                try:
                    connection = connection or socket.create_connection(self._address)
                    connection.sendall(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    if connection.recv(65536):
                        break
                except OSError:
                    pass
                connection = None
                time.sleep(EVERY)
            with self._lock:
                self._longest = max(self._longest, time.monotonic() - self._asked)
                self._asked = None
            time.sleep(EVERY)

    def report(self) -> float:
        """The longest silence since the last call."""
        with self._lock:
            now = time.monotonic()
            longest = self._longest if self._asked is None else max(self._longest, now - self._asked)
            self._longest = 0.0
            if self._asked is not None:
                self._asked = now
            return longest


def main(host: str, port: str) -> None:
    """Answer each line of stdin with the longest silence, until it is closed."""
    probe = _Probe(host, int(port))
    threading.Thread(target=probe.ask, daemon=True).start()
    for _ in sys.stdin:
        print(probe.report(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
