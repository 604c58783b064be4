"""The only code that speaks HTTP to vLLM; aiohttp's exceptions end here.

A client belongs to one engine and its unix socket. Bodies are sent as given and answers are returned as the
engine wrote them: this room knows no Ollama.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from vllama.engine.sse import SseCutter
from vllama.errors import EngineGone, EngineRefused

# vLLM closes idle connections after VLLM_HTTP_TIMEOUT_KEEP_ALIVE (we set 75 s); ours must be shorter or a
# request meets a closing connection.
_KEEPALIVE_SECONDS = 30
_READ_BUFFER = 1 << 20  # one chunk with 20 logprobs alternatives can be hundreds of kilobytes
_GONE = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
    "check ollama server logs for details"
)
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10)


class EngineClient:
    """HTTP over one engine's unix socket. Make it inside a running event loop; ``close`` it in the end."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.bytes_read = 0
        """Bytes of all streams so far: while requests run, an engine that works makes this grow."""
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

    async def close(self) -> None:
        """Close all connections; running requests end with EngineGone. vLLM can't exit before this."""
        for answer in tuple(self._answers):  # aiohttp 3.11 would let their readers wait for ever
            answer.content.set_exception(aiohttp.ClientConnectionError("closed"))
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

    async def call(
        self, path: str, body: Mapping[str, Any] | bytes, *, timeout: float | None = None, request_id: str = ""
    ) -> bytes:
        """POST ``body`` and return the whole answer. Cancelling the task aborts the engine's request."""
        async with self._post(path, body, timeout, request_id) as answer:
            with _border():
                data = await answer.read()
            self.bytes_read += len(data)
            return data

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, Any] | bytes, *, request_id: str = ""
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """POST ``body`` and yield an iterator over lists of SSE payloads, one list per read from the socket.

        The iterator ends after ``[DONE]`` (not included) and raises EngineGone when the stream breaks before it.
        Leaving the block closes the connection when the answer is unfinished: vLLM then aborts the request.
        """
        async with self._post(path, body, None, request_id) as answer:
            yield self._payloads(answer)

    async def _payloads(self, answer: aiohttp.ClientResponse) -> AsyncIterator[list[bytes]]:
        cutter = SseCutter()
        content = answer.content
        with _border():  # once for all reads: entering it for each token is measurable
            while data := await content.readany():
                self.bytes_read += len(data)
                found = cutter.feed(data)
                if found and found[-1] == b"[DONE]":
                    found.pop()
                    if found:
                        yield found
                    await content.readany()  # the terminating chunk, so that the connection can be reused
                    return
                if found:
                    yield found
        raise EngineGone(_GONE)

    def _check_open(self) -> None:
        """aiohttp has no error of its own for a session that we closed because the engine stops."""
        if self._session.closed:
            raise EngineGone(_GONE)

    @asynccontextmanager
    async def _post(
        self, path: str, body: Mapping[str, Any] | bytes, timeout: float | None, request_id: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {"Content-Type": "application/json"}
        if request_id:
            headers["X-Request-Id"] = request_id
        limit = _NO_TIMEOUT if timeout is None else aiohttp.ClientTimeout(total=timeout)
        self._check_open()
        with _border():
            answer = await self._session.post(path, data=data, headers=headers, timeout=limit)
        self._answers.add(answer)
        try:
            if answer.status != 200:
                with _border():
                    text = await answer.read()
                raise _refusal(answer.status, text)
            yield answer
        finally:
            self._answers.discard(answer)
            # release() keeps the connection only when the answer was read to its end
            if answer.content.at_eof():
                answer.release()
            else:
                answer.close()


def engine_error(payload: Mapping[str, Any]) -> EngineRefused | EngineGone | None:
    """The error that one decoded SSE payload carries, if it carries one (vLLM tells some only in the stream)."""
    error = payload.get("error")
    if error is None:
        return None
    if isinstance(error, Mapping):
        message, status = str(error.get("message") or ""), error.get("code")
    else:
        message, status = str(error), None
    code = status if isinstance(status, int) and 400 <= status <= 599 else 500
    if "EngineCore encountered an issue" in message or "EngineDeadError" in message:
        return EngineGone(_GONE)
    return EngineRefused(message, status=code)


@contextmanager
def _border() -> Iterator[None]:
    """aiohttp's world ends here."""
    try:
        yield
    except TimeoutError as error:
        raise EngineGone("the engine did not answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise EngineGone(_GONE) from error


def _refusal(status: int, body: bytes) -> EngineRefused | EngineGone:
    """vLLM's error body as ours: ``{"error": {...}}``, ``{"detail": ...}`` or plain text."""
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        decoded = None
    if isinstance(decoded, dict):
        if (found := engine_error(decoded)) is not None:
            return found if isinstance(found, EngineGone) else EngineRefused(found.message, status=status)
        if "detail" in decoded:
            return EngineRefused(str(decoded["detail"]), status=status)
    return EngineRefused(body.decode("utf-8", "replace").strip() or f"the engine answered {status}", status=status)
