"""Speaks HTTP/1.1 to an engine over kept connections to its unix socket.

Why not aiohttp's client: each token would cost a parser's callbacks, a queue, a future and a task's way down through
all its frames; measured, that is half of all the CPU that the front end uses for a token. Here the bytes are passed on
in the read that brings them (``pour``), and only a reader that has no sink waits (``read``). And aiohttp
does not send a POST again whose kept connection the server has just closed (``ConnectionPool.ask``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

from vllama.engine.framing import BodyReader, Head, body_of, read_head
from vllama.errors import VllamaError

_MOST_WAITING: Final = 1 << 20
"""Bytes that may wait here unread before the engine has to wait."""
_READ_SIZE: Final = 1 << 16
_IDLE_SECONDS: Final = 30.0
"""How long a connection is kept unused; vLLM closes it after ``VLLM_HTTP_TIMEOUT_KEEP_ALIVE``, which must be longer."""
_CONNECT_SECONDS: Final = 10.0

T = TypeVar("T")
Accept = Callable[[T], bool]
"""Takes what has come; false: no more for now. The one type of all callbacks on a token's way, whatever they take."""


class EngineConnection(asyncio.BufferedProtocol):
    """One connection, one request at a time. When it breaks, the caller that waits gets an OSError."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._head: Head | None = None
        self._body: BodyReader | None = None
        self._raw = b""
        self._arrived: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._accept: Accept[bytes] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._released = False
        self.idle_since = 0.0

    # --- a request

    @property
    def untouched(self) -> bool:
        """Whether no byte of an answer to the last request has arrived."""
        return self._head is None and not self._raw

    @property
    def status(self) -> int:
        """Of the answer, once ``ask`` has returned."""
        return self._head.status if self._head is not None else 0

    async def ask(self, request: bytes) -> None:
        """Send a whole request and wait for the head of its answer; without one the connection is closed."""
        self._head, self._body, self._raw, self._released = None, None, b"", False
        if self._transport is None:
            raise self._failure or ConnectionResetError("the engine closed the connection")
        self._transport.write(request)
        try:
            while self._head is None:
                await self._news()
        finally:
            if self._head is None:
                self.close()

    async def read(self) -> bytes:
        """All of the body that came since the last time; empty at its end."""
        while not self._arrived and not self._over:
            await self._news()
        data = b"".join(self._arrived)
        self._arrived.clear()
        self._waiting = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def read_all(self) -> bytes:
        """The rest of the body."""
        parts = []
        while part := await self.read():
            parts.append(part)
        return b"".join(parts)

    async def pour(self, accept: Accept[bytes]) -> None:
        """Call ``accept`` with what comes, as it comes, until the body ends or ``accept`` wants no more.

        Returns at once while something waits to be read.
        """
        if self._arrived or self._over:
            return
        self._accept = accept
        try:
            await self._news()
        finally:
            self._accept = None

    def release(self, *, complete: bool) -> None:
        """Done with the answer. ``complete``: its sense is, though the frames' end may still be on its way."""
        usable = self._failure is None and not self._arrived and self._head is not None and self._head.stays
        usable = usable and self._transport is not None  # the engine may have closed it right behind the answer
        self._released = usable and complete and not self._over
        if usable and self._over:
            self._pool.keep(self)
        elif not self._released:
            self.close()

    def close(self) -> None:
        """Close the connection; the engine aborts a request that still runs."""
        self._pool.forget(self)
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """The buffer to read into."""
        return self._pool.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes apart and pass on what is in them."""
        self._pool.bytes_read += nbytes
        data = bytes(self._pool.buffer[:nbytes])
        try:
            body = self._feed(data)
        except ValueError as error:
            self._raw = data
            self._failure = ConnectionError(f"the engine's answer can't be read: {error}")
            self.close()
            self._wake()
            return
        if self._accept is not None and body:
            try:
                if self._accept(body) and not self._over:
                    return
            except VllamaError as error:
                self._failure = error
            self._accept = None
        elif body:
            self._keep(body)
        if self._released and self._over:
            self.release(complete=True)
        self._wake()

    def eof_received(self) -> None:
        """The engine ended the connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the caller that waits."""
        self._transport = None
        self._pool.forget(self)
        if not self._over:
            self._failure = self._failure or exc or ConnectionResetError("the engine closed the connection")
        self._wake()

    # --- within

    @property
    def _over(self) -> bool:
        return self._body is not None and self._body.over

    def _feed(self, data: bytes) -> bytes:
        if self._body is None:
            found = read_head(self._raw + data)
            if found is None:
                self._raw += data
                return b""
            self._head, data = found
            self._raw = b""
            self._body = body_of(self._head)
        return self._body.feed(data)

    def _keep(self, body: bytes) -> None:
        self._arrived.append(body)
        self._waiting += len(body)
        if self._waiting > _MOST_WAITING and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _news(self) -> None:
        if self._failure is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._failure is not None:
            raise self._failure


class ConnectionPool:
    """The connections to one socket."""

    def __init__(self, socket: Path) -> None:
        self.bytes_read = 0
        self.buffer = memoryview(bytearray(_READ_SIZE))
        """One for all, as each read is used up at once. A plain ``Protocol`` gets a new one of 256 KiB for each token,
        which the allocator takes from the kernel and gives back: more work than everything else here."""
        self._socket = str(socket)
        self._all: set[EngineConnection] = set()
        self._idle: list[EngineConnection] = []
        self.closed = False

    async def ask(self, request: bytes) -> EngineConnection:
        """Send a request; the connection has the head of its answer. Raises OSError and TimeoutError.

        An engine may close an idle connection at any moment, also while a request is on its way to it. Where not a
        byte of an answer came on a kept connection, the request is sent again, on a new one.
        """
        if (kept := self._kept()) is not None:
            try:
                await kept.ask(request)
                return kept
            except OSError:
                if not kept.untouched:
                    raise
        connection = await self._connect()
        await connection.ask(request)
        return connection

    def _kept(self) -> EngineConnection | None:
        """The connection that was used last, if it is not too old."""
        oldest = asyncio.get_running_loop().time() - _IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since > oldest:
                return connection
            connection.close()
        return None

    async def _connect(self) -> EngineConnection:
        if self.closed:
            raise ConnectionResetError("the engine's connections were closed")
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, connection = await asyncio.get_running_loop().create_unix_connection(
                lambda: EngineConnection(self), self._socket
            )
        if self.closed:  # meanwhile
            connection.close()
        self._all.add(connection)
        return connection

    def keep(self, connection: EngineConnection) -> None:
        """Keep a connection whose answer has ended for the next request."""
        if self.closed:
            connection.close()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def forget(self, connection: EngineConnection) -> None:
        """Forget a connection that is closed."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close all connections; the callers that wait on one get an OSError."""
        self.closed = True
        for connection in tuple(self._all):
            connection.close()
