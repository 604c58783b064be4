"""Many open streams on one event loop, read as cheaply as Python can: the load must not be the limit it measures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_TAIL = 4096  # bytes; what tells the counts is shorter


@dataclass(frozen=True, slots=True)
class Dialect:
    """A route, what is sent to it, and what each token's event holds once."""

    name: str
    path: str
    body: Mapping[str, Any]
    mark: bytes
    """Found once in each token's event and nowhere else in a stream."""

    def request(self, model: str, prompt: str, tokens: int) -> bytes:
        """The request's bytes: a stream of at most ``tokens``."""
        body: dict[str, Any] = {"model": model, "stream": True, **self.body}
        if self.path == "/api/generate":
            body["prompt"] = prompt
        else:
            body["messages"] = [{"role": "user", "content": prompt}]
        if self.path.startswith("/api/"):
            body["options"] = {"temperature": 0, "num_predict": tokens}
        else:
            body |= {"temperature": 0, "max_tokens": tokens}
        data = orjson.dumps(body)
        return (
            b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (self.path.encode(), len(data))
        ) + data


NATIVE_CHAT = Dialect("/api/chat", "/api/chat", {"think": False}, b'"done":false')
NATIVE_GENERATE = Dialect("/api/generate", "/api/generate", {"think": False}, b'"done":false')
OPENAI = Dialect("/v1/chat/completions", "/v1/chat/completions", {"reasoning_effort": "none"}, b'"content":"')
ANTHROPIC = Dialect("/v1/messages", "/v1/messages", {}, b'"text_delta"')
ENGINE = Dialect(
    "the engine", "/v1/chat/completions", {"chat_template_kwargs": {"enable_thinking": False}}, b'"content":"'
)
DIALECTS = (NATIVE_CHAT, NATIVE_GENERATE, OPENAI, ANTHROPIC)


class Stream(asyncio.Protocol):
    """One request after another on one connection; counts what comes."""

    begun: asyncio.Future[float]
    """Seconds to the first token's event."""
    ended: asyncio.Future[bytes]
    """The answer's last bytes."""

    def __init__(self, request: bytes, mark: bytes) -> None:
        self._request = request
        self._mark = mark
        self.events = 0
        self.arrivals = 0
        """How often bytes came: fewer than events where some came together."""
        self.refused = b""
        self._tail = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask(self._request)

    def ask(self, request: bytes) -> None:
        """Send a request; the one before has ended."""
        loop = asyncio.get_running_loop()
        self.begun, self.ended = loop.create_future(), loop.create_future()
        self._sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count events; the connection ends with an answer that is a refusal."""
        if not self.arrivals and not data.startswith(b"HTTP/1.1 200"):
            self.refused = data
            self.transport.abort()
            return
        found = data.count(self._mark)
        self.events += found
        self.arrivals += 1
        if found and not self.begun.done():
            self.begun.set_result(time.perf_counter() - self._sent)
        self._tail = (self._tail + data)[-_TAIL:]
        if data.endswith(b"0\r\n\r\n") and not self.ended.done():
            self.ended.set_result(self._tail)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        for future in (self.begun, self.ended):
            if not future.done():
                future.set_exception(exc or ConnectionError(f"the connection was closed {self.refused!r}"))
                future.exception()  # seen, should nobody wait for it


async def open_stream(address: str, request: bytes, mark: bytes) -> Stream:
    """Connect to ``unix:/PATH`` or ``http://HOST:PORT`` and ask."""
    loop = asyncio.get_running_loop()
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        _, stream = await loop.create_unix_connection(lambda: Stream(request, mark), rest)
        return stream
    host, _, port = rest.strip("/").rpartition(":")
    _, stream = await loop.create_connection(lambda: Stream(request, mark), host, int(port))
    return stream
