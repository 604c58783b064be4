"""Server-sent events: writes an answer's steps through a dialect's writer, one write for each read of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from vllama.answering.choices import Choices, Chosen
from vllama.errors import VllamaError
from vllama.http.relay import RelayedResponse, relay
from vllama.translate.engine.faults import mid_stream
from vllama.translate.engine.stream import Step
from vllama.translate.pieces import Ending, Piece


class Writer(Protocol):
    """What turns one choice into a dialect's events."""

    def start(self) -> bytes:
        """What precedes the first piece."""
        ...

    def feed(self, pieces: Sequence[Piece]) -> bytes:
        """The events of these pieces."""
        ...

    def plain(self, string: bytes) -> bytes:
        """The event of a text and nothing else, given as a JSON string."""
        ...

    def finish(self, final: Ending) -> bytes:
        """The events that end the choice, and with the last choice the stream."""
        ...

    def fail(self, status: int, message: str) -> bytes:
        """The stream's last event when the answer can't go on."""
        ...


async def write_events(request: web.Request, choices: Choices, writers: Sequence[Writer]) -> web.StreamResponse:
    """Stream answers whose first steps are there already, each through its own of the ``writers``.

    A failure on the way is told to the client.
    """
    response = RelayedResponse(headers={"Content-Type": "text/event-stream", **choices.headers})
    await response.prepare(request)
    waiting = writers[0].start()

    def written(chosen: Chosen) -> bytes:
        nonlocal waiting
        choice, steps = chosen
        start, waiting = waiting, b""
        return start + _written(writers[choice], steps)

    try:
        await relay(request, response, choices, written, writers[0].plain)
    except VllamaError as error:
        await response.write(waiting + writers[0].fail(error.http_status, mid_stream(error)))
    await response.write_eof()
    return response


def _written(writer: Writer, steps: list[Step]) -> bytes:
    pieces = [step for step in steps if isinstance(step, Piece)]
    out = writer.feed(pieces)
    last = steps[-1]
    return out + writer.finish(last) if isinstance(last, Ending) else out
