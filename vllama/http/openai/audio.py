"""OpenAI's transcriptions: Ollama's checks of the form; no model here takes audio."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from vllama.errors import BadRequest
from vllama.http.bodies import decoded
from vllama.http.dialects import unreadable
from vllama.http.front import front_of
from vllama.http.lookup import find_model
from vllama.quoting import excerpt
from vllama.translate.openai.multipart import boundary_of, read_fields

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
    boundary = boundary_of(request.headers.get("Content-Type", ""))
    if not boundary:
        raise BadRequest(f"{_PARSING}no multipart boundary param in Content-Type")
    async with front_of(request).intake.body(request) as body:
        try:
            fields = await decoded(body, lambda data: read_fields(data, boundary))
        except BadRequest as error:
            raise BadRequest(f"{_PARSING}{error}") from error
    model, file = fields.get("model"), fields.get("file")
    if model is None or model.is_file or not model.text:
        raise BadRequest("model is required")
    if file is None or not file.is_file:
        raise BadRequest("file is required: http: no such file")
    if not file.size:
        raise BadRequest("audio file is empty")
    return model.text
