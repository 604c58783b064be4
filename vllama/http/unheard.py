"""Answers requests that never reach a handler, because aiohttp can't read them or refuses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, LineTooLong

from vllama.http.faults import INTERNAL, error_response
from vllama.quoting import excerpt

_NAMELESS: Final = {"Server": "vLLama"}
"""Where nothing is said, aiohttp puts its own name."""
_TLS: Final = b"\x16\x03"


@dataclass(frozen=True, slots=True)
class Unheard:
    """What is known of such a request."""

    line: bytes
    """How it begins."""
    status: int
    exc: BaseException | None

    @property
    def path(self) -> str:
        """As far as it can be seen; it chooses the dialect."""
        words = self.line.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        path = words[1] if len(words) > 1 else "/"
        return path if path.startswith("/") else f"/{''.join(path.split('/', 3)[3:])}"


def page_of(unheard: Unheard) -> web.Response:
    """The refusal. The connection ends with it: nobody knows where the next request would begin."""
    status, text = _said(unheard)
    response = error_response(unheard.path, status, text)
    response.headers.update(_NAMELESS)
    response.force_close()
    return response


def refused(request: web.Request, error: web.HTTPException) -> web.Response:
    """What aiohttp raises by itself, in the dialect of the path."""
    response = error_response(request.path, error.status, _plain(error.text or error.reason))
    if error.status >= 400 and not request.content.is_eof():
        response.force_close()
    return response


def _said(unheard: Unheard) -> tuple[int, str]:
    match unheard.exc:
        case BadHttpMethod() if unheard.line.startswith(_TLS):
            return 400, "this port speaks HTTP, not HTTPS"
        case BadHttpMethod():
            return 400, "the request does not begin with a method of HTTP"
        case LineTooLong():
            return 431, "a line of the request's head is too long"
        case HttpProcessingError() as error:
            return error.code, f"the request is not valid HTTP: {_plain(error.message)}"
        case _:
            return unheard.status, INTERNAL


def _plain(text: str) -> str:
    """The first line. Of what the client sent it has at most the address."""
    return excerpt(text.splitlines()[0].rstrip(":").lower()) if text else "bad request"
