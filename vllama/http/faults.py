"""An error as the client's dialect writes it, chosen by the path (contract 1.6)."""

from __future__ import annotations

import secrets
from typing import Any, Final

from aiohttp import web

from vllama.errors import VllamaError
from vllama.translate.jsontext import encode

_OPENAI_TYPES: Final = {400: "invalid_request_error", 404: "not_found_error"}
_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
INTERNAL: Final = "internal error; the server's log says more"


def error_body(path: str, status: int, message: str) -> Any:
    """The error object: ``/v1/messages…`` Anthropic's, other ``/v1/…`` OpenAI's, else Ollama's."""
    if path.startswith("/v1/messages"):
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        error = {"type": kind, "message": message}
        return {"type": "error", "error": error, "request_id": f"req_{secrets.token_hex(12)}"}
    if path.startswith("/v1/"):
        kind = _OPENAI_TYPES.get(status, "api_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return {"error": message}


def error_response(path: str, status: int, message: str, *, streamed: bool = False) -> web.Response:
    """A whole answer. ``streamed``: the request asked for a stream and this comes from its generator."""
    body = encode(error_body(path, status, message))
    if path.startswith("/v1/"):
        return web.Response(status=status, body=body + b"\n", headers={"Content-Type": "application/json"})
    kind = "application/json" if streamed else "application/json; charset=utf-8"
    return web.Response(status=status, body=body, headers={"Content-Type": kind})


def message_of(error: VllamaError) -> str:
    """What a client reads: the message, and below it what to do where we know."""
    return f"{error.message}\n{error.hint}" if error.hint else error.message
