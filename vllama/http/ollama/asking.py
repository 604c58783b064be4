"""What chat and generate share: the order of their checks (contract 5.2, 5.3), load and unload."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from vllama.answering.debugging import rendered_prompt
from vllama.answering.generation import context_headers
from vllama.errors import BadRequest, VllamaError
from vllama.http.front import desk_of, front_of
from vllama.http.keeping import check_unload, granted
from vllama.http.ndjson import json_response
from vllama.http.visit import visit_of
from vllama.models.model import Model
from vllama.quoting import excerpt
from vllama.supervisor.port import Wish
from vllama.translate.gojson import raw_member
from vllama.translate.gosyntax import go_excerpt
from vllama.translate.ollama.replies import ChatWriter, GenerateWriter, ReplyWriter
from vllama.translate.options import read_options
from vllama.translate.pieces import ChatCall


class FormatError(VllamaError):
    """``format`` is neither "json" nor a schema; Ollama finds that when generation starts, hence 500.

    ``streamed``: the request asked for a stream, whose generator tells its errors under another media type.
    """

    code = "bad_format"
    status = 500

    def __init__(self, raw: str, *, streamed: bool = False) -> None:
        super().__init__(f'invalid format: {go_excerpt(raw)}; expected "json" or a valid JSON Schema object')
        self.streamed = streamed


def check_top_logprobs(fields: Mapping[str, Any]) -> None:
    """Before the model's name is looked at."""
    if not 0 <= fields["top_logprobs"] <= 20:
        raise BadRequest("top_logprobs must be between 0 and 20")


def check_thinking(fields: Mapping[str, Any], model: Model) -> None:
    """Only false may be said to a model that can't think."""
    if fields["think"] and "thinking" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(fields["model"])}" does not support thinking')


def check_images(images: int, fields: Mapping[str, Any], model: Model) -> None:
    """An honest refusal where Ollama leaves it to the backend."""
    if images and "vision" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(fields["model"])}" does not support vision')


def read_format(request: web.Request, fields: Mapping[str, Any]) -> str | Mapping[str, Any] | None:
    """``"json"``, a schema or None; raises FormatError."""
    wanted = fields["format"]
    if wanted is None or wanted == "":  # 0 and [] are errors, only these two mean nothing
        return None
    if wanted == "json" or isinstance(wanted, dict):
        checked: str | Mapping[str, Any] = wanted
        return checked
    data = visit_of(request).body
    raw = raw_member(data, "format") if data else orjson.dumps(wanted)
    raise FormatError(raw.decode("utf-8", "replace"), streamed=fields["stream"] is not False)


def asked_to_unload(fields: Mapping[str, Any], *, empty: bool) -> bool:
    """Nothing to answer and ``keep_alive`` 0."""
    return empty and fields["keep_alive"] == 0


async def unload(request: web.Request, model: Model, writer: ReplyWriter) -> web.Response:
    """Answers at once; running requests finish first. Raises Forbidden for what the administrator keeps."""
    await check_unload(request, model)
    await front_of(request).engines.unload(model)
    return json_response(writer.mark("unload", time.time_ns()))


async def load(request: web.Request, model: Model, fields: Mapping[str, Any], writer: ReplyWriter) -> web.Response:
    """Waits until the model is really loaded."""
    options = read_options(fields["options"], model.parameters)
    keep_alive = await granted(request, model, fields["keep_alive"])
    async with desk_of(request, model).engines.lease(Wish(model, keep_alive)) as lease:
        response = json_response(writer.mark("load", time.time_ns()))
        response.headers.update(context_headers(options, lease))
        return response


async def render_only(
    request: web.Request, model: Model, call: ChatCall, writer: ChatWriter | GenerateWriter
) -> web.Response:
    """The rendered prompt in the place of an answer."""
    return json_response(writer.rendered(await rendered_prompt(desk_of(request, model), model, call), time.time_ns()))
