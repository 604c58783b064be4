"""Writes answers as a stream with an API's writers: one write for each read from the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from vllama.answering.choices import Choices, NumberedSteps
from vllama.errors import Cancelled, VllamaError
from vllama.http.relay import RelayedResponse, relay
from vllama.http.visit import visit_of
from vllama.translate.engine.faults import mid_stream
from vllama.translate.pieces import Ending, Piece, Step


class StreamWriter(Protocol):
    """Turns one answer into an API's events or lines."""

    def start(self) -> bytes:
        """What precedes the first piece."""
        ...

    def feed(self, pieces: Sequence[Piece]) -> bytes:
        """These pieces."""
        ...

    def write_text(self, string: bytes) -> bytes:
        """A text and nothing else, given as a JSON string."""
        ...

    def finish(self, final: Ending) -> bytes:
        """What ends the answer, and with the last answer the stream."""
        ...

    def fail(self, status: int, message: str) -> bytes:
        """The end of a stream that can't go on."""
        ...


async def write_stream(
    request: web.Request, choices: Choices, writers: Sequence[StreamWriter], media_type: str
) -> web.StreamResponse:
    """Stream answers whose first steps are there already, each through its own of the ``writers``.

    A failure on the way is the last thing that the stream says.
    """
    response = RelayedResponse(headers={"Content-Type": media_type, **choices.headers})
    await response.prepare(request)
    waiting = writers[0].start()

    def written(chosen: NumberedSteps) -> bytes:
        nonlocal waiting
        choice, steps = chosen
        start, waiting = waiting, b""
        return start + _written(writers[choice], steps)

    try:
        await relay(request, response, choices, written, writers[0].write_text)
    except asyncio.CancelledError:
        if not visit_of(request).meter.took_notice():
            raise
        told = Cancelled()
        await response.write(waiting + writers[0].fail(told.http_status, told.message))
    except VllamaError as error:
        visit_of(request).meter.broken = True
        await response.write(waiting + writers[0].fail(error.http_status, mid_stream(error)))
    await response.write_eof()
    return response


def _written(writer: StreamWriter, steps: list[Step]) -> bytes:
    pieces = [step for step in steps if isinstance(step, Piece)]
    out = writer.feed(pieces)
    last = steps[-1]
    return out + writer.finish(last) if isinstance(last, Ending) else out
