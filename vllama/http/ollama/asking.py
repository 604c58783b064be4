"""What chat and generate share: the form of the answer, and unloading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from vllama.http.checks import FormatError
from vllama.http.front import front_of
from vllama.http.keeping import check_unload
from vllama.http.ollama.replying import OllamaReply
from vllama.http.plain_json import json_response
from vllama.http.serving import Order
from vllama.http.visit import visit_of
from vllama.models.model import Model
from vllama.translate.gojson import raw_member
from vllama.translate.options import read_options


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


async def unload(request: web.Request, model: Model, reply: OllamaReply) -> web.Response:
    """Answers at once; running requests finish first. Raises Forbidden for what the administrator keeps."""
    await check_unload(request, model)
    await front_of(request).engines.unload(model)
    return json_response(reply.mark("unload"))


def load_only(model: Model, fields: Mapping[str, Any]) -> Order:
    """An order without a call. Its answer is one object, whatever the request says of streams."""
    options = read_options(fields["options"], model.parameters)
    return Order(model, (), stream=False, keep_alive=fields["keep_alive"], options=options)
