"""Writes answers as Ollama frames them: one JSON object, or a stream with one object a line (contract 1.3)."""

from __future__ import annotations

import time

from aiohttp import web

from vllama.answering.generation import Answer, open_answer
from vllama.errors import VllamaError
from vllama.http.faults import error_body, refusal_response
from vllama.http.front import desk_of
from vllama.http.keeping import granted
from vllama.http.relay import RelayedResponse, relay
from vllama.models.model import Model
from vllama.supervisor.port import Wish
from vllama.translate.engine.faults import mid_stream
from vllama.translate.engine.stream import Step
from vllama.translate.jsontext import encode
from vllama.translate.ollama.replies import ReplyWriter
from vllama.translate.pieces import ChatCall, Ending, Piece, TextCall
from vllama.translate.whole import gather

_NDJSON = {"Content-Type": "application/x-ndjson"}
_JSON = {"Content-Type": "application/json; charset=utf-8"}


def json_response(body: bytes) -> web.Response:
    """A whole answer, without a line break at its end."""
    return web.Response(body=body, headers=_JSON)


async def answer_call(
    request: web.Request,
    model: Model,
    call: ChatCall | TextCall,
    writer: ReplyWriter,
    *,
    stream: bool,
    keep_alive: float | None,
) -> web.StreamResponse:
    """Generate and answer. A failure before the first event is a status, one after it the stream's last line."""
    try:
        kept = await granted(request, model, keep_alive)
        async with open_answer(desk_of(request, model), Wish(model, kept), call) as answer:
            if not stream:
                return await _whole(answer, writer)
            response = RelayedResponse(headers=_NDJSON | answer.headers)
            await response.prepare(request)
            await _lines(request, response, answer, writer)
            return response
    except VllamaError as error:
        # raised by open_answer: _lines tells its own
        return refusal_response(request.path, error, streamed=stream)


async def _whole(answer: Answer, writer: ReplyWriter) -> web.Response:
    pieces: list[Piece] = []
    async for steps in answer:
        pieces += [step for step in steps if isinstance(step, Piece)]
        if isinstance(last := steps[-1], Ending):
            body = writer.whole(gather(pieces, last), answer.timing(last), time.time_ns())
            return web.Response(body=body, headers=_JSON | answer.headers)
    raise VllamaError("the answer ended without its last event")


async def _lines(request: web.Request, response: web.StreamResponse, answer: Answer, writer: ReplyWriter) -> None:
    """One line a step; what arrived together goes out in one write."""

    def written(steps: list[Step]) -> bytes:
        now = time.time_ns()
        lines = [
            writer.last(step, answer.timing(step), now) if isinstance(step, Ending) else writer.piece(step, now)
            for step in steps
        ]
        lines.append(b"")
        return b"\n".join(lines)

    def plain(string: bytes) -> bytes:
        return writer.plain(string, time.time_ns()) + b"\n"

    try:
        await relay(request, response, answer, written, plain)
    except VllamaError as error:
        await response.write(encode(error_body("/api/", error.http_status, mid_stream(error))) + b"\n")
    await response.write_eof()
