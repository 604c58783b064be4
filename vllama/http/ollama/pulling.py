"""``POST /api/pull`` and ``/api/push`` (contract 5.9, 5.10)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from vllama.errors import BadRequest, PullFailed
from vllama.http.bodies import read_body
from vllama.http.front import front_of
from vllama.http.lookup import read_name
from vllama.http.ollama.progress import answer_progress
from vllama.models.downloads import Part
from vllama.models.names import ModelName
from vllama.models.pull import Puller, as_name
from vllama.translate import native

_NO_REGISTRY: Final = "this server pushes to no registry"


async def pull(request: web.Request) -> web.StreamResponse:
    """Fetch a model, or its newer version, and list it."""
    fields = await read_body(request, native.PULL)
    name = read_name(as_name(fields["model"] or fields["name"]))
    return await answer_progress(request, pulling(front_of(request).puller, name), stream=fields["stream"])


async def push(request: web.Request) -> web.StreamResponse:
    """There is no registry to push to."""
    fields = await read_body(request, native.PUSH)
    if not (fields["model"] or fields["name"]):
        raise BadRequest("model is required")
    return await answer_progress(request, _pushing(), stream=fields["stream"])


async def pulling(puller: Puller, name: ModelName) -> AsyncGenerator[Mapping[str, Any]]:
    """The lines of a pull; what fails before the first part is the manifest's fault, as Ollama says it."""
    begun = False
    try:
        async with aclosing(puller.pull(name)) as steps:
            async for step in steps:
                if isinstance(step, str):
                    yield {"status": step}
                    continue
                begun = True
                for part in step:
                    yield _line(part)
    except PullFailed as error:
        if begun:
            raise
        unknown = "file does not exist: " if error.error_code == "pull_unknown" else ""
        raise PullFailed(f"pull model manifest: {unknown}{error.message}", hint=error.hint) from error


async def _pushing() -> AsyncGenerator[Mapping[str, Any]]:
    yield {"status": "retrieving manifest"}
    raise PullFailed(_NO_REGISTRY, hint="Publish the files with the hub's own tools: hf upload")


def _line(part: Part) -> dict[str, Any]:
    """Numbers that are zero are left out, as in Go."""
    line: dict[str, Any] = {"status": f"pulling {part.digest[:12]}", "digest": f"sha256:{part.digest}"}
    return line | {key: size for key, size in (("total", part.total), ("completed", part.completed)) if size}
