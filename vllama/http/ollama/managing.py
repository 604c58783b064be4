"""``/api/copy`` and ``/api/delete``."""

from __future__ import annotations

import asyncio

from aiohttp import web

from vllama.errors import BadRequest, NotFound
from vllama.http.bodies import read_body
from vllama.http.front import front_of
from vllama.http.lookup import QUOTED, find_model, read_name
from vllama.models.names import parse_name
from vllama.quoting import excerpt
from vllama.translate.ollama.requests import CopyRequest, DeleteRequest


async def copy(request: web.Request) -> web.Response:
    """A second name for the same files."""
    asked = await read_body(request, CopyRequest)
    for which, typed in (("source", asked.source), ("destination", asked.destination)):
        if parse_name(typed) is None:
            raise BadRequest(f'{which} "{excerpt(typed)}" is invalid')
    models = front_of(request).models
    source, destination = read_name(asked.source), read_name(asked.destination)
    find_model(front_of(request), asked.source, missing='model "{}" not found')
    await asyncio.to_thread(models.copy, source, destination)
    return web.Response()


async def delete(request: web.Request) -> web.Response:
    """Forget a model and delete the files that no other uses; an engine that runs on them goes on."""
    asked = await read_body(request, DeleteRequest)
    typed = asked.typed
    if not typed:
        raise BadRequest("model is required")
    if parse_name(typed) is None:
        raise BadRequest(f'name "{excerpt(typed)}" is invalid')
    if not await asyncio.to_thread(front_of(request).models.remove, read_name(typed)):
        raise NotFound(QUOTED.format(excerpt(typed)))
    return web.Response()
