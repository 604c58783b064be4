"""``GET /vllama/openapi.json``: our own routes described in OpenAPI 3.1."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

from vllama import __version__
from vllama.http.plain_json import json_response

routes = web.RouteTableDef()
_BODY: Final = Path(__file__).with_suffix(".json").read_bytes().replace(b"@VERSION@", __version__.encode())


@routes.get("/vllama/openapi.json")
async def openapi(_: web.Request) -> web.Response:
    """The same for everybody."""
    return json_response(_BODY)
