"""Which job runs next: at most N at a time, and never all of them for one client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from vllama.errors import Busy


@dataclass(slots=True)
class _Client:
    turn: asyncio.Semaphore
    jobs: int = 0


class FairTurns:
    """``most`` jobs at a time, of one client one less (but one). Clients that wait take turns."""

    def __init__(self, most: int, *, waiting: int = 128, of_one: int = 32) -> None:
        """``waiting``: jobs that may be in here at all; ``of_one``: of one client."""
        self._room = asyncio.Semaphore(most)
        self._share = max(1, most - 1)
        self._waiting, self._of_one = waiting, of_one
        self._clients: dict[str, _Client] = {}
        self._jobs = 0

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait for a turn of that client's; raises Busy when too many wait already."""
        client = self._clients.setdefault(name, _Client(asyncio.Semaphore(self._share)))
        if self._jobs >= self._waiting or client.jobs >= self._of_one:
            raise Busy("too many requests wait for their templates or schemas; try again later")
        client.jobs += 1
        self._jobs += 1
        try:
            # a client waits for its own turn first, so that it stands in the common queue with its share at most
            async with client.turn, self._room:
                yield
        finally:
            self._jobs -= 1
            client.jobs -= 1
            if not client.jobs:
                del self._clients[name]
