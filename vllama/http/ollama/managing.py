"""Pull, push, create, copy, delete, blobs (contract 5.9 to 5.14), as far as a fixed set of models allows.

Which models there are is the configuration's affair: what is there can be "pulled", everything that would change the
set is checked as Ollama checks it and then refused with the reason.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import PurePosixPath
from typing import Any, Final

from aiohttp import web

from vllama.errors import BadRequest, NotFound, VllamaError
from vllama.http.bodies import read_body
from vllama.http.front import front_of
from vllama.http.lookup import QUOTED, find_model, read_name
from vllama.models.names import parse_name
from vllama.translate import native
from vllama.translate.jsontext import encode

_DIGEST: Final = re.compile(r"sha256[:-][0-9a-fA-F]{64}")
_STREAM: Final = {"Content-Type": "application/x-ndjson"}
_ONCE: Final = {"Content-Type": "application/json"}
_CONFIGURED: Final = "the models of this server are those of its configuration"


class NotOffered(VllamaError):
    """This server has no way to do that."""

    code = "not_offered"
    status = 501


async def create(request: web.Request) -> web.StreamResponse:
    """Checked as far as it goes without a store to write to."""
    fields = await read_body(request, native.CREATE)
    if parse_name(fields["model"] or fields["name"]) is None:
        raise BadRequest("invalid model name")
    for path in (*fields["files"], *fields["adapters"]):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise BadRequest("file path must be relative")
    for digest in (*fields["files"].values(), *fields["adapters"].values()):
        if not _DIGEST.fullmatch(digest):
            raise BadRequest("invalid digest format")
    if not fields["from"] and not fields["files"]:
        raise BadRequest("neither 'from' or 'files' was specified")
    return await _progress(request, fields, [{"error": f"models can't be created: {_CONFIGURED}"}], status=501)


async def copy(request: web.Request) -> web.Response:
    """A second name for the same files."""
    fields = await read_body(request, native.COPY)
    for which in ("source", "destination"):
        if parse_name(fields[which]) is None:
            raise BadRequest(f'{which} "{fields[which]}" is invalid')
    models = front_of(request).models
    source, destination = read_name(fields["source"]), read_name(fields["destination"])
    find_model(front_of(request), fields["source"], missing='model "{}" not found')
    await asyncio.to_thread(models.copy, source, destination)
    return web.Response()


async def delete(request: web.Request) -> web.Response:
    """Forget a model and delete the files that no other uses; an engine that runs on them goes on."""
    fields = await read_body(request, native.DELETE)
    typed = fields["model"] or fields["name"]
    if not typed:
        raise BadRequest("model is required")
    if parse_name(typed) is None:
        raise BadRequest(f'name "{typed}" is invalid')
    if not await asyncio.to_thread(front_of(request).models.remove, read_name(typed)):
        raise NotFound(QUOTED.format(typed))
    return web.Response()


async def blob_there(request: web.Request) -> web.Response:
    """HEAD: is the blob there? No blobs are kept."""
    digest = _digest(request)
    raise NotFound(f'blob "{digest}" not found')


async def blob_upload(request: web.Request) -> web.Response:
    """Nothing here takes files."""
    _digest(request)
    raise NotOffered(f"files can't be uploaded: {_CONFIGURED}")


def _digest(request: web.Request) -> str:
    digest = request.match_info["digest"]
    if not _DIGEST.fullmatch(digest):
        raise BadRequest("invalid digest format")
    return digest.replace("-", ":", 1).lower()


async def _progress(
    request: web.Request, fields: dict[str, Any], events: list[dict[str, str]], *, status: int = 500
) -> web.StreamResponse:
    """All events as lines, or the last one alone where no stream is wanted.

    An error that is the first event has a status of its own; one that follows progress is a line.
    """
    last = events[-1]
    if fields["stream"] is False or (len(events) == 1 and "error" in last):
        return web.Response(status=status if "error" in last else 200, body=encode(last), headers=_ONCE)
    response = web.StreamResponse(headers=_STREAM)
    await response.prepare(request)
    await response.write(b"".join(encode(event) + b"\n" for event in events))
    await response.write_eof()
    return response
