"""Writes an error in the format of the client's API, which the path decides."""

from __future__ import annotations

import logging
import secrets
from typing import Any, Final

from aiohttp import web

from vllama.errors import VllamaError
from vllama.jsontext import encode
from vllama.quoting import bounded
from vllama.translate.anthropic import replies as anthropic_replies
from vllama.translate.engine.faults import in_our_words
from vllama.translate.openai import replies as openai_replies

_LOG: Final = logging.getLogger(__name__)
INTERNAL: Final = "internal error; the server's log says more"


def error_body(path: str, status: int, message: str) -> Any:
    """The error object: ``/v1/messages…`` Anthropic's, other ``/v1/…`` OpenAI's, else Ollama's."""
    if path.startswith("/v1/messages"):
        return anthropic_replies.error_body(status, message, f"req_{secrets.token_hex(12)}")
    if path.startswith("/v1/"):
        return openai_replies.error_body(status, message)
    return {"error": message}


def refusal_response(path: str, error: VllamaError, *, streamed: bool = False) -> web.Response:
    """``error_response`` for one of our errors, with the headers that belong to it."""
    error = in_our_words(error)
    response = error_response(path, error.http_status, message_of(error), streamed=streamed)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.http_status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def error_response(path: str, status: int, message: str, *, streamed: bool = False) -> web.Response:
    """A whole answer. ``streamed``: the request asked for a stream and this comes from its generator."""
    body = encode(error_body(path, status, message))
    if path.startswith("/v1/"):
        return web.Response(status=status, body=body + b"\n", headers={"Content-Type": "application/json"})
    kind = "application/json" if streamed else "application/json; charset=utf-8"
    return web.Response(status=status, body=body, headers={"Content-Type": kind})


def message_of(error: VllamaError) -> str:
    """The text for a client: the message, and below it what to do.

    If the client's text leaves out a path of this machine, the log has it.
    """
    if error.http_status >= 500 and error.detail != error.message:
        _LOG.warning("a client got %r: %s", bounded(error.message), bounded(error.detail))
    message = bounded(error.message)
    return f"{message}\n{error.hint}" if error.hint else message
