"""All connections: limits their number, and closes those that make no progress."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

from aiohttp import web

from vllama.http.connection import REASONS, ClientConnection
from vllama.http.forwarding import read_address
from vllama.http.limits import Limits
from vllama.observe.seldom import Seldom

_YIELDING: Final = 6
"""Where another model waits for the memory, a client that reads nothing is waited for this part of the usual time."""
_AT_ONCE: Final = 64
"""Where there is no place left, one idle connection of so many is closed."""


class Crowd:
    """One for the whole service: a reload replaces the limits and keeps the connections."""

    def __init__(self, yielding: Callable[[], Collection[str]] = frozenset) -> None:
        """``yielding``: keys of the engines that another model waits for."""
        self.limits = Limits()
        self.closed: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        """How many were closed by us, by reason."""
        self._yielding = yielding
        self._all: set[ClientConnection] = set()
        self._of: Counter[str] = Counter()
        self._log = Seldom(logging.getLogger("vllama.connections"))
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._all)

    def welcome(self, manager: web.Server, peer: str) -> ClientConnection | None:
        """A connection for a client at ``peer``; None if that client has too many."""
        address = read_address(peer)
        counted = "" if address is None or self.limits.reach.is_proxy(address) else str(address)
        if counted and self._of[counted] >= self.limits.each:
            self._log.warn(counted, "%s has %d connections already; more are closed", counted, self._of[counted])
            return None
        connection = ClientConnection(manager, self.limits, counted, self._forget)
        self._all.add(connection)
        self._of[counted] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.limits.look_every, self.look)
        return connection

    def has_room(self) -> bool:
        """May one more come? When all places are taken, the one that has been idle longest is closed for it."""
        if len(self._all) < self.limits.all:
            return True
        idle = [(since, id(one), one) for one in self._all if (since := one.idle_since) is not None]
        for _, _, one in heapq.nsmallest(1 + len(idle) // _AT_ONCE, idle):
            self._close(one, "full")
        return bool(idle)

    def look(self) -> None:
        """Close connections that make no progress, and look again later."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._timer = loop.call_later(self.limits.look_every, self.look) if self._all else None
        for one in tuple(self._all):
            if reason := one.verdict(now) or self._in_the_way(one, now):
                self._close(one, reason)

    def stop(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _in_the_way(self, one: ClientConnection, now: float) -> str:
        if one.visit is None or one.stalled(now) < one.limits.stall / _YIELDING:
            return ""
        return "in_the_way" if one.visit.meter.engine in self._yielding() else ""

    def _close(self, one: ClientConnection, reason: str) -> None:
        self.closed[reason] += 1
        if one.request is not None:
            self._log.warn(reason, "closed the connection of %s: %s", one.peer or "a local socket", REASONS[reason])
        self._forget(one)
        if one.transport is not None:
            one.transport.abort()

    def _forget(self, one: ClientConnection) -> None:
        if one in self._all:
            self._all.discard(one)
            self._of[one.peer] -= 1
            if not self._of[one.peer]:
                del self._of[one.peer]
