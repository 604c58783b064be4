"""``POST /api/pull`` and ``/api/push``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from aiohttp import web

from vllama.errors import BadRequest, PullFailed
from vllama.http.bodies import read_body
from vllama.http.front import front_of
from vllama.http.lookup import QUOTED, read_name
from vllama.http.ollama.progress import answer_progress, progress_lines
from vllama.models.names import parse_name, split_revision
from vllama.quoting import excerpt
from vllama.translate.ollama.requests import TransferRequest

_NO_REGISTRY: Final = "this server pushes to no registry"


async def pull(request: web.Request) -> web.StreamResponse:
    """Fetch a model, or its newer version, and list it."""
    asked = await read_body(request, TransferRequest)
    typed, revision = split_revision(asked.typed)
    steps = front_of(request).puller.pull(read_name(typed), revision)
    return await answer_progress(request, progress_lines(steps), stream=asked.stream)


async def push(request: web.Request) -> web.StreamResponse:
    """There is no registry to push to."""
    asked = await read_body(request, TransferRequest)
    typed = asked.typed
    if not typed:
        raise BadRequest("model is required")
    name = parse_name(typed)
    known = name is not None and front_of(request).models.find(name) is not None
    return await answer_progress(request, _pushing(typed, known=known), stream=asked.stream)


async def _pushing(typed: str, *, known: bool) -> AsyncGenerator[Mapping[str, Any]]:
    yield {"status": "retrieving manifest"}
    if not known:
        yield {"status": "couldn't retrieve manifest"}
        raise PullFailed(QUOTED.format(excerpt(typed)))
    raise PullFailed(_NO_REGISTRY, hint="Publish the files with the hub's own tools: hf upload")
