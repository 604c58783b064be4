"""Accepts connections from the listening sockets.

asyncio's own loop tries, and logs, 128 times in a row when no descriptor is left. This one rests for a moment.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from vllama.observe.seldom import Seldom

_AT_ONCE: Final = 128
"""Connections that are taken in one turn of the loop at most; streams wait meanwhile."""
_REST: Final = 0.5
"""Seconds until it is tried again where there is no room."""
_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_CLOSED: Final = {errno.EBADF, errno.EINVAL}

Welcome = Callable[[str], asyncio.Protocol | None]
"""Makes the protocol for a client at an address; None: it may not come."""


class Acceptor:
    """``start``, ``stop`` and start again; the sockets stay the caller's."""

    def __init__(self, welcome: Welcome, has_room: Callable[[], bool]) -> None:
        self._welcome = welcome
        self._has_room = has_room
        self._sockets: tuple[socket.socket, ...] = ()
        self._arriving: set[asyncio.Task[object]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._log = Seldom(logging.getLogger("vllama.connections"))

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections from these sockets."""
        self._sockets = tuple(sockets)
        self._listen()

    async def stop(self) -> None:
        """Take no new ones; the connections that were taken already are made."""
        self._deaf()
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        self._sockets = ()
        await asyncio.gather(*self._arriving, return_exceptions=True)

    def _listen(self) -> None:
        self._resting = None
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            listener.settimeout(0)
            loop.add_reader(listener.fileno(), self._accept, listener)

    def _deaf(self) -> None:
        for listener in self._sockets:
            if (number := listener.fileno()) >= 0:
                asyncio.get_running_loop().remove_reader(number)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            if not self._has_room():
                self._rest("all places for connections are taken")
                return
            try:
                client, address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _CLOSED:
                    asyncio.get_running_loop().remove_reader(listener.fileno())
                    return
                if error.errno in _NO_ROOM:
                    self._rest(error.strerror or "no room")
                    return
                continue  # that client has left already
            self._take(client, address[0] if isinstance(address, tuple) else "")

    def _take(self, client: socket.socket, peer: str) -> None:
        protocol = self._welcome(peer)
        if protocol is None:
            client.close()
            return
        client.settimeout(0)
        loop = asyncio.get_running_loop()
        task: asyncio.Task[object] = loop.create_task(loop.connect_accepted_socket(lambda: protocol, client))
        self._arriving.add(task)
        task.add_done_callback(partial(self._arrived, protocol))

    def _arrived(self, protocol: asyncio.Protocol, task: asyncio.Task[object]) -> None:
        self._arriving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            protocol.connection_lost(None)
            self._log.warn("arriving", "a connection could not be made: %s", error)

    def _rest(self, why: str) -> None:
        self._log.warn(why, "no new connections for a moment: %s", why)
        self._deaf()
        if self._resting is None:
            self._resting = asyncio.get_running_loop().call_later(_REST, self._listen)
