"""Code that the APIs under ``/v1`` share: reading a body, refusing one, and new ids."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from vllama.errors import BadRequest, TooLarge, VllamaError
from vllama.http.bodies import decoded, decoded_apart
from vllama.http.faults import error_body, message_of
from vllama.http.front import front_of
from vllama.http.visit import visit_of
from vllama.http.zstd import unpacked
from vllama.jsontext import encode

T = TypeVar("T")


def reading(read: Callable[[bytes], T], answer: Callable[[web.Request, T], Awaitable[web.StreamResponse]]) -> Handler:
    """A handler that reads the body with ``read`` and has ``answer`` do the rest.

    What is wrong with a body is reported by another part of Ollama than what is wrong later (``unreadable``).
    """

    def unpack(data: bytes, encoding: str) -> T:
        return read(unpacked(data, encoding))

    async def handle(request: web.Request) -> web.StreamResponse:
        encoding = request.headers.get("Content-Encoding", "")
        try:
            async with front_of(request).intake.body(request) as data:
                asked = await (
                    decoded_apart(data, lambda data: unpack(data, encoding)) if encoding else decoded(data, read)
                )
        except (BadRequest, TooLarge) as error:
            return unreadable(request, error)
        return await answer(request, asked)

    return handle


def unreadable(request: web.Request, error: VllamaError) -> web.Response:
    """The refusal of a body: with a charset, and without the line break at its end."""
    body = encode(error_body(request.path, error.http_status, message_of(error)))
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return web.Response(status=error.http_status, body=body, headers=headers)


def fresh_id(prefix: str) -> str:
    """``prefix`` and 24 random hex digits."""
    return prefix + secrets.token_hex(12)


def not_to_be_cached(request: web.Request) -> None:
    """Add the header with which Ollama marks an event stream, or an error in its place."""
    visit_of(request).headers["Cache-Control"] = "no-cache"
