"""``/api/blobs/:digest``: files that models are created from."""

from __future__ import annotations

import asyncio

from aiohttp import web

from vllama.errors import BadRequest, NotFound
from vllama.http.front import front_of
from vllama.models.blobs import read_digest


async def head(request: web.Request) -> web.Response:
    """Is it there?"""
    digest = _digest(request)
    if not await asyncio.to_thread(front_of(request).creator.blobs.has, digest):
        raise NotFound(f'blob "sha256:{digest}" not found')
    return web.Response()


async def upload(request: web.Request) -> web.Response:
    """Take the body, however long; it is kept when its hash is the one that was announced."""
    digest = _digest(request)
    blobs = front_of(request).creator.blobs
    typed = request.match_info["digest"]
    if typed.startswith("sha256:") and await asyncio.to_thread(blobs.has, digest):
        return web.Response()
    part = await asyncio.to_thread(blobs.upload, digest)
    try:
        async for chunk in request.content.iter_any():
            await asyncio.to_thread(part.write, chunk)
        true = await asyncio.to_thread(part.finish, digest)
    finally:
        await asyncio.to_thread(part.close)
    if typed != f"sha256:{true}":
        raise BadRequest(f'digest mismatch, expected "{typed}", got "sha256:{true}"')
    return web.Response(status=201)


def _digest(request: web.Request) -> str:
    digest = read_digest(request.match_info["digest"])
    if digest is None:
        raise BadRequest("invalid digest format")
    return digest
