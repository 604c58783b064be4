"""OpenAI's transcriptions (contract 6.7): Ollama's checks of the form; no model here takes audio."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from vllama.errors import BadRequest
from vllama.http.dialects import unreadable
from vllama.http.front import front_of
from vllama.http.lookup import find_model
from vllama.quoting import excerpt

_FORM: Final = "multipart/form-data"
_PARSING: Final = "failed to parse multipart form: "


async def transcriptions(request: web.Request) -> web.Response:
    """Refuses what is wrong with the form, then the model: none has ears."""
    try:
        typed = await _read_form(request)
    except BadRequest as error:
        return unreadable(request, error)
    find_model(front_of(request), typed)
    raise BadRequest(f'"{excerpt(typed)}" does not support audio')


async def _read_form(request: web.Request) -> str:
    """The model's name; raises BadRequest."""
    if request.content_type != _FORM:
        raise BadRequest(f"{_PARSING}request Content-Type isn't {_FORM}")
    if "boundary=" not in request.headers.get("Content-Type", ""):
        raise BadRequest(f"{_PARSING}no multipart boundary param in Content-Type")
    try:
        form = await request.post()
    except (ValueError, RuntimeError) as error:
        raise BadRequest(f"{_PARSING}{excerpt(str(error))}") from error
    typed, file = form.get("model"), form.get("file")
    if not isinstance(typed, str) or not typed:
        raise BadRequest("model is required")
    if not isinstance(file, web.FileField):
        raise BadRequest("file is required: http: no such file")
    if not await asyncio.to_thread(file.file.read, 1):
        raise BadRequest("audio file is empty")
    return typed


routes = [web.post("/v1/audio/transcriptions", transcriptions)]
