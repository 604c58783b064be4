"""The fast path to a client: writes what the engine sends within the read that brings it.

Waking a task for each token, and letting it find its way through middlewares, handlers and iterators, costs more than
the token's translation. So the task writes only what is there when it looks, and then lets the answer pour: translate
and write, from the engine's socket to the client's, without anybody in between. A client that reads too slowly is
waited for by the task again, and the engine's socket waits with it.

Where a read brings one event that is like the last but for its text (``translate.engine.plain_chunks``), that text
goes from the one frame into the other as it is: no lists, no objects, nothing parsed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol, TypeVar, cast

from aiohttp import web

from vllama.engine.wire import Accept

_FULL: Final = 1 << 16
"""Bytes that a client may leave unread before it is waited for; asyncio's own high-water mark."""

Item = TypeVar("Item")
Given_co = TypeVar("Given_co", covariant=True)


class Pouring(Protocol[Given_co]):
    """An answer that is iterated, or poured between two steps: ``generation.Answer``, ``choices.Choices``."""

    def __aiter__(self) -> AsyncIterator[Given_co]:
        """The long way."""
        ...

    async def pour(self, accept: Accept[Given_co], accept_text: Accept[bytes]) -> None:
        """The fast one: returns at the end, when one of the two says false, or at once where it can't."""
        ...


class RelayedResponse(web.StreamResponse):
    """An answer whose first piece is there when it is prepared: the head waits for it and both go out in one write."""

    _send_headers_immediately = False


async def relay(
    request: web.Request,
    response: web.StreamResponse,
    answer: Pouring[Item],
    written: Callable[[Item], bytes],
    write_text: Callable[[bytes], bytes],
) -> None:
    """Write every item of the answer to a response that is prepared.

    ``written`` makes the bytes of an item; ``write_text`` those of a text that is given as a JSON string, as nearly all
    of a long answer's are.
    """
    chunked = response.headers.get("Transfer-Encoding") == "chunked"
    transport = cast("asyncio.Transport", request.transport)

    def put(item: Item) -> bool:
        # a chunk of no bytes would be the last
        return send(data) if (data := written(item)) else True

    def put_text(string: bytes) -> bool:
        return send(write_text(string))

    def send(data: bytes) -> bool:
        transport.write(b"%x\r\n%b\r\n" % (len(data), data))  # as aiohttp does, without its two coroutines
        return transport.get_write_buffer_size() < _FULL and not transport.is_closing()

    async for item in answer:
        await response.write(written(item))  # the first time, the head goes with it
        if chunked:  # not to clients that speak HTTP/1.0
            await request.writer.drain()
            await answer.pour(put, put_text)
