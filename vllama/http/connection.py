"""One client's connection: aiohttp's, which also knows what it waits for and how fast that arrives.

``Crowd.look`` asks each connection now and then whether it is held for nothing. Nothing is added to what a token costs:
how much a client has read is asked of the kernel, and only where bytes wait to be read.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web, web_protocol
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from vllama.errors import BadRequest, SlowBody
from vllama.http.pace import Pace
from vllama.http.unheard import Unheard, page_of

if TYPE_CHECKING:
    from vllama.http.limits import Limits
    from vllama.http.visit import Visit

_TCP_INFO: Final = struct.Struct("=120xQ")
"""Of ``struct tcp_info`` its ``tcpi_bytes_acked``."""
_NEVER: Final = 1e9
"""Seconds: ``verdict`` knows an idle connection from one whose head has begun, aiohttp does not."""
_LINE: Final = 256
"""Bytes of a request's first line that are kept, to answer in the dialect of its path if its head can't be read."""
_BOUNDED: Final = hasattr(web_protocol, "MAX_MSG_QUEUE_SIZE")
"""aiohttp itself lets requests wait that are sent ahead of their turn, from 3.14.1 on."""
_AHEAD: Final = 32
"""Else so many may be sent ahead; a client that sends more is cut."""
_BYTES_AHEAD: Final = 2 << 20
"""More than the longest head that aiohttp reads."""
_SLICE: Final = 1 << 14
"""Bytes that are read at once while they may be many requests."""
_FRAMES: Final = 1 << 16
_FRAMES_A_BYTE: Final = 8
"""Bytes that the chunks around a body may take altogether: so many, and so many for each byte of the body."""
_NOBODY: Final = "unreadable.invalid"
"""In place of a host that can't be decoded."""
REASONS: Final = {
    "slow_reader": "it does not read its answer",
    "slow_head": "its request's head did not end",
    "slow_body": "its request's body came too slowly",
    "idle": "it was idle",
    "in_the_way": "it does not read its answer, and another model waits for the memory",
    "full": "all places were taken, and it was idle longest",
}


class ClientConnection(RequestHandler):
    """One for each accepted socket; it calls ``left`` when it is closed."""

    __slots__ = ("_ahead", "_answer", "_body", "_data_before", "_doomed", "_head_since", "_left", "_line", "_received",
                 "_since", "limits", "peer", "request", "visit")  # fmt: skip

    def __init__(
        self, manager: web.Server, limits: Limits, peer: str, left: Callable[[ClientConnection], None]
    ) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for no log
            auto_decompress=False,
            keepalive_timeout=_NEVER,
        )
        self._request_factory = partial(_with_a_host, manager.request_factory)
        self.limits = limits
        self.peer = peer
        """The other end's address; empty where it is not counted."""
        self.request: web.Request | None = None
        self.visit: Visit | None = None
        self._left = left
        self._since = self._loop.time()
        """When the connection was made, or its last answer ended."""
        self._head_since: float | None = None
        self._line = b""
        self._received = 0
        self._data_before = 0
        """Bytes before the read that brought the end of the request's head."""
        self._body: Pace | None = None
        self._answer: Pace | None = None
        self._doomed = False
        self._ahead = 0
        """Bytes since the last body or the last handler's beginning."""

    # --- a request on its way

    def begin(self, request: web.Request, visit: Visit) -> None:
        """Called when a handler begins."""
        self.request, self.visit, self._head_since, self._doomed = request, visit, None, False
        self._ahead = 0
        self._check_frames()

    def end(self) -> None:
        """It has ended; the rest of its answer may still wait to be read."""
        self.request = self.visit = None
        self._body = None
        self._since = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Called with bytes from the client."""
        if self.request is None:
            self._data_before = self._received
            if self._head_since is None and data:
                self._head_since, self._line = self._loop.time(), bytes(data[:_LINE])
        self._received += len(data)
        if _BOUNDED:
            super().data_received(data)
        else:
            self._feed(data)
        if self.request is not None:
            self._check_frames()
            self._check_body(self.request.content)

    def _feed(self, data: bytes) -> None:
        """With an end to what is sent ahead: requests, and bytes of a protocol that nobody here speaks."""
        if self.request is not None and not self.request.content.is_eof():
            self._ahead = 0
            super().data_received(data)
            return
        self._ahead += len(data)
        for at in range(0, len(data), _SLICE):
            super().data_received(data[at : at + _SLICE])
            if len(self._messages) > _AHEAD or self._ahead > _BYTES_AHEAD:
                if self.transport is not None:
                    self.transport.abort()
                return

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called when the connection is closed."""
        super().connection_lost(exc)
        self._left(self)

    # --- is it held for nothing?

    @property
    def idle_since(self) -> float | None:
        """Since when nothing is asked and nothing is left to be read; None while something is."""
        busy = self.request is not None or self._head_since is not None or self._unread()
        return None if busy else self._since

    def stalled(self, now: float) -> float:
        """For how many seconds the client has read nothing of what waits for it."""
        return now - self._answer.since if self._answer is not None else 0.0

    def verdict(self, now: float) -> str:
        """Why the connection must be closed, one of ``REASONS``; empty if it need not."""
        if self.transport is None or self.transport.is_closing():
            return ""
        limits = self.limits
        if self._unread():
            read = _bytes_read(self.transport)
            self._answer = self._answer or Pace.begin(now, read)
            return "slow_reader" if self._answer.too_slow(now, read, limits.stall, limits.least) else ""
        self._answer = None
        if self.request is not None:
            return self._verdict_on_body(now, self.request.content, self.transport)
        if self._head_since is not None:
            return "slow_head" if now - self._head_since >= limits.head else ""
        return "idle" if now - self._since >= limits.idle else ""

    def _verdict_on_body(self, now: float, content: StreamReader, transport: asyncio.Transport) -> str:
        if content.is_eof() or not transport.is_reading():
            self._body = None
            return ""
        arrived = content.total_bytes
        self._body = self._body or Pace.begin(now, arrived)
        if not self._body.too_slow(now, arrived, self.limits.stall, self.limits.least):
            return ""
        if self._doomed:  # it was said, and nobody heard
            return "slow_body"
        self._doomed = True
        content.set_exception(SlowBody("the request's body came too slowly"))
        return ""

    def _unread(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def _check_frames(self) -> None:
        """Chunks may carry any amount of what is no data, which nobody reads."""
        if self.request is None or "chunked" not in self.request.headers.get("Transfer-Encoding", "").lower():
            return
        content = self.request.content
        around = self._received - self._data_before - content.total_bytes
        if around > _FRAMES + _FRAMES_A_BYTE * content.total_bytes and content.exception() is None:
            content.set_exception(BadRequest("the chunks of the request's body are mostly not data"))

    def _check_body(self, content: StreamReader) -> None:
        """What can't be read aiohttp queues as the next request, and lets the handler of this one wait for ever."""
        if self._messages and not content.is_eof() and content.exception() is None:
            content.set_exception(BadRequest("the request's body is not valid HTTP"))

    # --- what aiohttp says by itself

    def handle_error(
        self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.Response:
        """A request that can't be read is refused in the dialect of its path, as far as that was read."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        if status >= 500:
            self.log_exception("unexpected", exc_info=exc)
        return page_of(Unheard(self._line, status, exc))


def _with_a_host(make: Callable[..., web.BaseRequest], message: RawRequestMessage, *rest: Any) -> web.BaseRequest:
    """The request. Where its line names a host that can't be decoded, aiohttp raises, and never answers."""
    try:
        _ = message.url.host
    except ValueError:
        message = message._replace(url=message.url.with_host(_NOBODY))
    return make(message, *rest)


def _bytes_read(transport: asyncio.Transport) -> int:
    """A counter of bytes that have reached the client's machine; where the kernel has none, any change counts."""
    found: socket.socket | None = transport.get_extra_info("socket")
    if found is not None and found.family in {socket.AF_INET, socket.AF_INET6}:
        info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        if len(info) == _TCP_INFO.size:
            return int(_TCP_INFO.unpack(info)[0])
    return transport.get_write_buffer_size()
