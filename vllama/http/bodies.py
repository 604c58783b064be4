"""Reads a request's body by its shape. The media type is never looked at (contract 1.4)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from vllama.translate.gojson import Shape, decode

_LARGE: Final = 1 << 20


async def read_body(request: web.Request, shape: Shape, *, empty: str = "missing request body") -> dict[str, Any]:
    """The body as ``shape`` reads it; raises BadRequest, and aiohttp's 413 when it is over the limit."""
    data = await request.read()
    if len(data) > _LARGE:  # parsing megabytes must not hold up everybody else's tokens
        body = await asyncio.to_thread(decode, data, shape, empty=empty)
    else:
        body = decode(data, shape, empty=empty)
    found: dict[str, Any] = body
    return found
