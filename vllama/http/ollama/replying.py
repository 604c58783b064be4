"""Writes answers in Ollama's format: one JSON object, or a stream with one object a line."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from vllama.http.faults import error_body
from vllama.http.plain_json import JSON
from vllama.jsontext import encode
from vllama.translate.ollama.replies import ChatWriter, GenerateWriter
from vllama.translate.pieces import Ending, Piece, Timing
from vllama.translate.whole import Whole


class Lines:
    """One answer as lines (``streams.StreamWriter``)."""

    def __init__(self, writer: ChatWriter | GenerateWriter) -> None:
        self._writer = writer

    def start(self) -> bytes:
        """Nothing precedes the first piece."""
        return b""

    def feed(self, pieces: Sequence[Piece]) -> bytes:
        """A line each."""
        now = time.time_ns()
        return b"".join([self._writer.piece(piece, now) + b"\n" for piece in pieces])

    def write_text(self, string: bytes) -> bytes:
        """The line of a text and nothing else."""
        return self._writer.write_text(string, time.time_ns()) + b"\n"

    def finish(self, final: Ending) -> bytes:
        """The last line."""
        return self._writer.last(final, timing_of(final), time.time_ns()) + b"\n"

    def fail(self, status: int, message: str) -> bytes:
        """The last line of a stream that can't go on."""
        return encode(error_body("/api/", status, message)) + b"\n"


class OllamaReply:
    """``serving.Reply``."""

    whole_type: Final = JSON
    stream_type: Final = "application/x-ndjson"

    def __init__(self, writer: ChatWriter | GenerateWriter) -> None:
        self._writer = writer

    def writers(self) -> Sequence[Lines]:
        """There is one answer to each request."""
        return [Lines(self._writer)]

    def whole(self, answers: Sequence[Whole]) -> bytes:
        """The answer as one object."""
        (answer,) = answers
        return self._writer.whole(answer, timing_of(answer.final), time.time_ns())

    def loaded(self) -> bytes:
        """One object, also where the request wanted a stream."""
        return self.mark("load")

    def mark(self, reason: str) -> bytes:
        """The object that says that a model was loaded or unloaded."""
        return self._writer.mark(reason, time.time_ns())

    def rendered(self, info: Mapping[str, Any]) -> bytes:
        """The rendered prompt in the place of an answer."""
        return self._writer.rendered(info, time.time_ns())


def timing_of(final: Ending) -> Timing:
    """Durations for the reply; none of them is 0."""
    return Timing(max(1, final.total_ns), max(1, final.load_ns), max(1, final.prefill_ns), max(1, final.decode_ns))
