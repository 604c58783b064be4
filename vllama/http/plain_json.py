"""A whole JSON object as Ollama sends it: with a charset, without a line break at its end."""

from __future__ import annotations

from typing import Final

from aiohttp import web

JSON: Final = "application/json; charset=utf-8"


def json_response(body: bytes) -> web.Response:
    """A whole answer."""
    return web.Response(body=body, headers={"Content-Type": JSON})
