"""Server-sent events: writes an answer's steps through a dialect's writer, one write for each read of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from aiohttp import web

from vllama.errors import VllamaError
from vllama.translate.faults import mid_stream
from vllama.translate.pieces import Final, Piece
from vllama.translate.stream import Step


class Writer(Protocol):
    """What turns one choice into a dialect's events."""

    def start(self) -> bytes:
        """What precedes the first piece."""
        ...

    def feed(self, pieces: Sequence[Piece]) -> bytes:
        """The events of these pieces."""
        ...

    def finish(self, final: Final) -> bytes:
        """The events that end the choice, and with the last choice the stream."""
        ...

    def fail(self, status: int, message: str) -> bytes:
        """The stream's last event when the answer can't go on."""
        ...


async def write_events(
    request: web.Request,
    steps: AsyncIterator[tuple[int, list[Step]]],
    writers: Sequence[Writer],
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Stream an answer whose first steps are there already; a failure on the way is told to the client.

    ``steps`` tells with each list which of the ``writers`` it is for.
    """
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
    response.enable_chunked_encoding()
    await response.prepare(request)
    waiting = writers[0].start()
    try:
        async for choice, found in steps:
            await response.write(waiting + _written(writers[choice], found))
            waiting = b""
    except VllamaError as error:
        await response.write(waiting + writers[0].fail(error.http_status, mid_stream(error)))
    await response.write_eof()
    return response


def _written(writer: Writer, steps: list[Step]) -> bytes:
    pieces = [step for step in steps if isinstance(step, Piece)]
    out = writer.feed(pieces)
    last = steps[-1]
    return out + writer.finish(last) if isinstance(last, Final) else out
