"""The only code that speaks HTTP to vLLM; aiohttp's exceptions end here.

A client belongs to one engine and its unix socket. Bodies are sent as given and answers are returned as the
engine wrote them: this room knows no Ollama.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import orjson

from vllama.engine.refusals import field_of
from vllama.engine.sse import DONE, SseCutter
from vllama.engine.wire import Accept, Connection, Pool
from vllama.errors import Busy, EngineGone, EngineRefused

# vLLM closes idle connections after VLLM_HTTP_TIMEOUT_KEEP_ALIVE (we set 75 s); ours must be shorter or a
# request meets a closing connection.
_KEEPALIVE_SECONDS = 30
_READ_BUFFER = 1 << 20  # one chunk with 20 logprobs alternatives can be hundreds of kilobytes
_GONE = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
    "check ollama server logs for details"
)
_HEAD = b"POST %b HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_JSON = {"Content-Type": "application/json"}
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10)


ShortCut = Callable[[bytes], bool | None]
"""Takes the bytes of one read as they are, when they are what it knows: true or false as ``Accept``, else None."""


class Events:
    """One streamed answer: iterate over lists of SSE payloads, one list per read from the socket.

    The iteration ends with ``[DONE]`` (not included) and raises EngineGone when the stream breaks before it.
    """

    def __init__(self, connection: Connection) -> None:
        self.done = False
        """``[DONE]`` was there."""
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

        No task is woken for it. Returns at the end, when one of them says false, and at once where something waits
        already: then iterate on.
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
    """What the house asks of an engine; ``EngineClient`` in the service.

    All of it raises the EngineError family, and Busy where we have no descriptor for another connection: that says
    nothing of the engine.
    """

    @property
    def bytes_read(self) -> int:
        """Bytes of all answers so far."""
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
        """POST ``body`` and take the events of the answer."""
        ...


class EngineClient:
    """Implements ``Client`` over one engine's unix socket. Make it inside a running loop; ``close`` it at the end."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._read = 0
        self._streams = Pool(socket)
        self._answers: set[aiohttp.ClientResponse] = set()
        connector = aiohttp.UnixConnector(str(socket), limit=0, keepalive_timeout=_KEEPALIVE_SECONDS)
        self._session = aiohttp.ClientSession(
            "http://engine",
            connector=connector,
            timeout=_NO_TIMEOUT,
            read_bufsize=_READ_BUFFER,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    @property
    def bytes_read(self) -> int:
        """Bytes of all answers so far: while requests run, an engine that works makes this grow."""
        return self._read + self._streams.bytes_read

    async def close(self) -> None:
        """Close all connections; running requests end with EngineGone. vLLM can't exit before this."""
        for answer in tuple(self._answers):  # aiohttp 3.11 would let their readers wait for ever
            answer.content.set_exception(aiohttp.ClientConnectionError("closed"))
        self._streams.close()
        await self._session.close()

    async def get(self, path: str, *, timeout: float = 5.0) -> bytes:
        """GET ``path``; raises EngineRefused on any other status than 200, EngineGone when nobody answers."""
        self._check_open()
        with _border():
            async with self._session.get(path, timeout=aiohttp.ClientTimeout(total=timeout)) as answer:
                body = await answer.read()
        if answer.status != 200:
            raise _refusal(answer.status, body)
        return body

    async def call(self, path: str, body: Mapping[str, Any] | bytes, *, timeout: float | None = None) -> bytes:
        """POST ``body`` and return the whole answer. Cancelling the task aborts the engine's request."""
        limit = _NO_TIMEOUT if timeout is None else aiohttp.ClientTimeout(total=timeout)
        self._check_open()
        with _border():
            answer = await self._session.post(path, data=_encoded(body), headers=_JSON, timeout=limit)
            self._answers.add(answer)
            try:
                data = await answer.read()
            finally:
                self._answers.discard(answer)
                answer.close()
        if answer.status != 200:
            raise _refusal(answer.status, data)
        self._read += len(data)
        return data

    @asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any] | bytes) -> AsyncIterator[Events]:
        """POST ``body`` and yield the events of the answer; raises EngineRefused for any other status than 200.

        Leaving the block closes the connection when the answer is unfinished: vLLM then aborts the request.
        """
        data = _encoded(body)
        self._check_open()
        with _border():
            connection = await self._streams.connection()
        events = Events(connection)
        try:
            with _border():
                head = await connection.ask(_HEAD % (path.encode(), len(data)) + data)
                if head.status != 200:
                    text = b""
                    while more := await connection.read():
                        text += more
                    raise _refusal(head.status, text)
            yield events
        finally:
            connection.release(complete=events.done)

    def _check_open(self) -> None:
        """aiohttp has no error of its own for a session that we closed because the engine stops."""
        if self._session.closed:
            raise EngineGone(_GONE)


def _encoded(body: Mapping[str, Any] | bytes) -> bytes:
    return body if isinstance(body, bytes) else orjson.dumps(body)


def engine_error(payload: Mapping[str, Any]) -> EngineRefused | EngineGone | None:
    """The error that one decoded SSE payload carries, if it carries one (vLLM tells some only in the stream)."""
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
    """aiohttp's world ends here."""
    try:
        yield
    except TimeoutError as error:
        raise EngineGone("the engine did not answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        if getattr(error, "errno", None) in {errno.EMFILE, errno.ENFILE}:  # that says nothing of the engine
            raise Busy("the server has no free file descriptors", hint="Raise its limit: LimitNOFILE.") from error
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
