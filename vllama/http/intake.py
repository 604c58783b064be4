"""Reads bodies into memory, within one limit for all connections together.

A body has its room before it is read: as much as it announces, or the longest allowed when it announces nothing.
Large bodies wait for each other, and small ones have a part of the total for themselves. A body that waits too long is
refused; while one waits, one that comes slowly is given up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.streams import StreamReader

from vllama.errors import Busy, SlowBody

SMALL: Final = 1 << 20
"""Bytes up to which a body is small."""
_PATIENCE: Final = 10.0
"""Seconds that a body waits for its room."""
_GRACE: Final = 5.0
"""Seconds that a body has before it is held to that."""
_CONTENDED: Final = 1 << 16
"""Bytes a second that a body must bring, after the grace, while another one waits for its room."""
_LOOK_EVERY: Final = 1.0


@dataclass(eq=False, slots=True)
class _Held:
    """The memory that one body may use."""

    size: int
    content: StreamReader
    since: float

    def pace(self, now: float) -> float:
        """Bytes a second since it has its room."""
        return self.content.total_bytes / max(now - self.since, 1e-6)


class _Lane:
    """Bodies of one kind, first come first served."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.held: set[_Held] = set()
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.used = 0

    def fits(self, size: int) -> bool:
        """Whether there is room now; a body that is larger than all of it is read alone."""
        return self.used + size <= self.room or not self.used

    def give(self) -> None:
        """Give memory to the waiting bodies whose turn it is."""
        while self.waiting and (self.waiting[0][1].done() or self.fits(self.waiting[0][0])):
            size, turn = self.waiting.popleft()
            if not turn.done():
                self.used += size
                turn.set_result(None)

    def hurry(self, now: float, grace: float) -> None:
        """Give up the slowest body, if it is really slow."""
        late = [one for one in self.held if now - one.since > grace and not one.content.is_eof()]
        slowest = min(late, key=lambda one: one.pace(now), default=None)
        if slowest is not None and slowest.pace(now) < _CONTENDED and slowest.content.exception() is None:
            slowest.content.set_exception(SlowBody("the request's body came too slowly, and others waited"))


class Intake:
    """The memory for all bodies that are being read or decoded."""

    def __init__(self, total: int, longest: int, *, patience: float = _PATIENCE, grace: float = _GRACE) -> None:
        """``total``: bytes of all together. ``longest``: bytes of one, the rest is refused with 413."""
        self._longest = longest
        self._patience = patience
        self._grace = grace
        self._small = _Lane(total // 4)
        self._large = _Lane(total - total // 4)

    @property
    def used(self) -> int:
        """Bytes of memory that bodies use now."""
        return self._small.used + self._large.used

    @asynccontextmanager
    async def body(self, request: web.Request) -> AsyncIterator[bytes]:
        """The whole body; its room is free again when the block is left.

        Raises aiohttp's 413, Busy (503) when there is no room, SlowBody (408), and what the connection raises.
        """
        announced = request.content_length
        self._check(announced or 0)
        content = request.content
        if content.is_eof() and content.total_bytes <= SMALL:  # it is here already
            yield await self._read(content, b"")
            return
        async with AsyncExitStack() as rooms:
            start, size = b"", announced
            if size is None:
                await rooms.enter_async_context(self._room(self._small, SMALL, content))
                start, size = await _up_to(content, SMALL), self._longest
                self._check(len(start))
            if not content.at_eof():
                lane = self._small if size <= SMALL else self._large
                await rooms.enter_async_context(self._room(lane, size, content))
                start = await self._read(content, start)
            yield start

    async def _read(self, content: StreamReader, start: bytes) -> bytes:
        parts, size = [start], len(start)
        while part := await content.readany():
            size += len(part)
            self._check(size)
            parts.append(part)
        return b"".join(parts)

    def _check(self, size: int) -> None:
        if size > self._longest:
            raise web.HTTPRequestEntityTooLarge(self._longest, size)

    @asynccontextmanager
    async def _room(self, lane: _Lane, size: int, content: StreamReader) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        lane.waiting.append((size, turn))
        lane.give()
        held = _Held(size, content, 0.0)
        try:
            await self._turn(lane, turn)
            held.since = loop.time()
            lane.held.add(held)
            yield
        finally:
            if turn.done() and not turn.cancelled():
                lane.used -= size
            turn.cancel()
            lane.held.discard(held)
            lane.give()

    async def _turn(self, lane: _Lane, turn: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while not turn.done():
            left = until - loop.time()
            if left <= 0:
                raise Busy("too many large requests are being read; try again later")
            await asyncio.wait({turn}, timeout=min(left, _LOOK_EVERY))
            lane.hurry(loop.time(), self._grace)


async def _up_to(content: StreamReader, most: int) -> bytes:
    """What comes until there are ``most`` bytes or more, or the end."""
    parts, size = [], 0
    while size < most and (part := await content.readany()):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
