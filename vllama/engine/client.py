"""The only code that speaks HTTP to vLLM; a broken connection becomes an error of ours here.

A client belongs to one engine and its unix socket. Bodies are sent as given and answers are returned as the
engine wrote them: this module knows nothing of Ollama.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson

from vllama.engine.refusals import field_of
from vllama.engine.sse import DONE, SseCutter
from vllama.engine.wire import Accept, ConnectionPool, EngineConnection
from vllama.errors import Busy, EngineGone, EngineRefused

_GONE = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
    "check ollama server logs for details"
)
_GET = b"GET %b HTTP/1.1\r\nHost: engine\r\n\r\n"
_POST = b"POST %b HTTP/1.1\r\nHost: engine\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


ShortCut = Callable[[bytes], bool | None]
"""Handles the raw bytes of one read if it recognises them. Returns what ``Accept`` would, or None if it does not."""


class Events:
    """One streamed answer: iterate over lists of SSE payloads, one list per read from the socket.

    The iteration ends with ``[DONE]`` (not included) and raises EngineGone when the stream breaks before it.
    """

    def __init__(self, connection: EngineConnection) -> None:
        self.done = False
        """``[DONE]`` has been read."""
        self._connection = connection
        self._cutter = SseCutter()

    async def __aiter__(self) -> AsyncIterator[list[bytes]]:
        while not self.done:
            with _border():
                data = await self._connection.read()
            if not data:
                raise EngineGone(_GONE)
            if found := self._cut(data):
                yield found

    async def pour(self, accept: Accept[list[bytes]], short: ShortCut) -> None:
        """The fast path: what comes goes to ``short``, else to ``accept``, in the read that brings it.

        No task is woken for it. Returns at the end, when one of them returns false, and at once if data is already
        waiting: then iterate on.
        """
        if self.done:
            return
        cutter = self._cutter

        def take(data: bytes) -> bool:
            if not cutter.begun and (more := short(data)) is not None:
                return more
            found = self._cut(data)
            return (accept(found) if found else True) and not self.done

        with _border():
            await self._connection.pour(take)

    def _cut(self, data: bytes) -> list[bytes]:
        found = self._cutter.feed(data)
        if found and found[-1] == DONE:
            found.pop()
            self.done = True
        return found


class Client(Protocol):
    """The requests that vLLama sends to an engine; ``EngineClient`` in the service.

    All of it raises the EngineError family, and Busy where we have no descriptor for another connection: that says
    nothing of the engine.
    """

    @property
    def bytes_read(self) -> int:
        """Bytes of all answers so far."""
        ...

    def named(self, headers: Mapping[str, str]) -> Client:
        """The same client, which sends these headers with each POST: they say for which request it is."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...

    async def get(self, path: str, *, timeout: float = 5.0) -> bytes:
        """GET ``path``."""
        ...

    async def call(self, path: str, body: Mapping[str, Any] | bytes, *, timeout: float | None = None) -> bytes:
        """POST ``body`` and return the whole answer."""
        ...

    def stream(self, path: str, body: Mapping[str, Any] | bytes) -> AbstractAsyncContextManager[Events]:
        """POST ``body`` and yield the events of the answer."""
        ...


class EngineClient:
    """Implements ``Client`` over one engine's unix socket. Make it inside a running loop; ``close`` it at the end."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._generations = ConnectionPool(socket)
        self._looks = ConnectionPool(socket)  # apart: an engine that hangs answers /health all the same
        self.headers = b""
        """Lines of the head of each POST."""

    @property
    def bytes_read(self) -> int:
        """Bytes of all answers to POST so far: while requests run, an engine that works makes this grow."""
        return self._generations.bytes_read

    def named(self, headers: Mapping[str, str]) -> EngineClient:
        """See ``Client``. The values must be free of line ends."""
        same = object.__new__(EngineClient)  # what copy() does, in a tenth of its time
        same.__dict__.update(self.__dict__)
        same.headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        return same

    async def close(self) -> None:
        """Close all connections; running requests end with EngineGone. vLLM can't exit before this."""
        self._generations.close()
        self._looks.close()

    async def get(self, path: str, *, timeout: float = 5.0) -> bytes:
        """GET ``path``; raises EngineRefused on any other status than 200, EngineGone without an answer."""
        return await self._whole(self._looks, _GET % path.encode(), timeout)

    async def call(self, path: str, body: Mapping[str, Any] | bytes, *, timeout: float | None = None) -> bytes:
        """POST ``body`` and return the whole answer. Cancelling the task aborts the engine's request."""
        return await self._whole(self._generations, self._request(path, body), timeout)

    @asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any] | bytes) -> AsyncIterator[Events]:
        """POST ``body`` and yield the events of the answer; raises EngineRefused for any other status than 200.

        Leaving the block closes the connection when the answer is unfinished: vLLM then aborts the request.
        """
        with _border():
            connection = await self._generations.ask(self._request(path, body))
        events = Events(connection)
        try:
            if connection.status != 200:
                with _border():
                    text = await connection.read_all()
                raise _refusal(connection.status, text)
            yield events
        finally:
            connection.release(complete=events.done)

    def _request(self, path: str, body: Mapping[str, Any] | bytes) -> bytes:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return _POST % (path.encode(), self.headers, len(data)) + data

    @staticmethod
    async def _whole(pool: ConnectionPool, request: bytes, timeout: float | None) -> bytes:
        with _border():
            async with asyncio.timeout(timeout):
                connection = await pool.ask(request)
                try:
                    body = await connection.read_all()
                finally:
                    connection.release(complete=False)
        if connection.status != 200:
            raise _refusal(connection.status, body)
        return body


def engine_error(payload: Mapping[str, Any]) -> EngineRefused | EngineGone | None:
    """The error that one decoded SSE payload carries, if it carries one (vLLM reports some only in the stream)."""
    error = payload.get("error")
    if error is None:
        return None
    if not isinstance(error, Mapping):
        error = {"message": str(error)}
    message, status = str(error.get("message") or ""), error.get("code")
    code = status if isinstance(status, int) and 400 <= status <= 599 else 500
    if "EngineCore encountered an issue" in message or "EngineDeadError" in message:
        return EngineGone(_GONE)
    return EngineRefused(message, status=code, field=field_of(error))


@contextmanager
def _border() -> Iterator[None]:
    """Turns the socket's errors into ours."""
    try:
        yield
    except TimeoutError as error:
        raise EngineGone("the engine did not answer in time") from error
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:  # that says nothing of the engine
            raise Busy(
                "the server has no free file descriptors", hint="Raise the limit of the service: LimitNOFILE."
            ) from error
        raise EngineGone(_GONE) from error


def _refusal(status: int, body: bytes) -> EngineRefused | EngineGone:
    """vLLM's error body as ours: ``{"error": {...}}``, ``{"detail": ...}`` or plain text."""
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        decoded = None
    if isinstance(decoded, dict):
        if (found := engine_error(decoded)) is not None:
            if isinstance(found, EngineGone):
                return found
            return EngineRefused(found.message, status=status, field=found.field)
        if "detail" in decoded:
            return EngineRefused(str(decoded["detail"]), status=status)
    return EngineRefused(body.decode("utf-8", "replace").strip() or f"the engine answered {status}", status=status)
