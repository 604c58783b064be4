"""What the dialects beside Ollama's own share: reading a body, and Ollama's own checks of a conversation."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from vllama.errors import BadRequest, TooLarge, VllamaError
from vllama.http.bodies import decoded, decoded_apart
from vllama.http.faults import error_body, message_of
from vllama.http.front import front_of
from vllama.http.lookup import find_model
from vllama.http.ollama.asking import FormatError, check_images, check_thinking, check_top_logprobs
from vllama.http.visit import visit_of
from vllama.http.zstd import unpacked
from vllama.models.model import Model
from vllama.quoting import excerpt
from vllama.translate.jsontext import encode
from vllama.translate.options import read_options
from vllama.translate.pictures import pictures_of_users
from vllama.translate.pieces import ChatCall

T = TypeVar("T")


def reading(read: Callable[[bytes], T], answer: Callable[[web.Request, T], Awaitable[web.StreamResponse]]) -> Handler:
    """A handler that reads the body with ``read`` and has ``answer`` do the rest.

    What is wrong with a body is told by another part of Ollama than what is wrong later (``unreadable``).
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
    """What Ollama says of an event stream, and of the error that a client gets in its place."""
    visit_of(request).headers["Cache-Control"] = "no-cache"


def model_for_chat(request: web.Request, typed: str, call: ChatCall) -> Model:
    """The model of a conversation, checked in the order of Ollama's chat (contract 5.3)."""
    fields = {"model": typed, "think": call.think, "top_logprobs": call.top_logprobs}
    check_top_logprobs(fields)
    if not typed:
        raise BadRequest("model is required")
    model = find_model(front_of(request), typed)
    check_thinking(fields, model)
    if "completion" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(typed)}" does not support chat')
    if call.tools and "tools" not in model.facts.capabilities:
        raise BadRequest(f"{model.name.full} does not support tools")
    read_options(call.options, model.parameters)
    check_images(pictures_of_users(call.messages), fields, model)
    _check_format(call)
    return model


def without_thinking_where_it_cannot(request: web.Request, typed: str, call: ChatCall) -> ChatCall:
    """Anthropic's layer drops a wish to think that the model can't fulfil, where all others refuse it."""
    if not call.think or not typed:
        return call
    model = find_model(front_of(request), typed)
    return call if "thinking" in model.facts.capabilities else replace(call, think=None)


def _check_format(call: ChatCall) -> None:
    wanted = call.format
    if (
        wanted is None
        or isinstance(wanted, (Mapping, bool))
        or (isinstance(wanted, (str, list)) and wanted in ("", "json", []))
    ):
        return  # true and false are schemas, and PHP writes an empty one as []
    raise FormatError(orjson.dumps(wanted).decode())
