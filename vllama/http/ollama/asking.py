"""Code that chat and generate share: the form of the answer, and unloading."""

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
from vllama.models.model import Model
from vllama.translate.ollama.requests import Asking
from vllama.translate.options import read_options


def read_format(asked: Asking) -> str | Mapping[str, Any] | None:
    """``"json"``, a schema or None; raises FormatError."""
    wanted = asked.format
    if wanted is None or wanted == "":  # 0 and [] are errors, only these two mean nothing
        return None
    if wanted == "json" or isinstance(wanted, dict):
        checked: str | Mapping[str, Any] = wanted
        return checked
    raise FormatError(orjson.dumps(wanted).decode(), streamed=asked.stream)


def wants_unload(asked: Asking, *, empty: bool) -> bool:
    """Nothing to answer and ``keep_alive`` 0."""
    return empty and asked.keep_alive == 0


async def unload(request: web.Request, model: Model, reply: OllamaReply) -> web.Response:
    """Answers at once; running requests finish first. Raises Forbidden for what the administrator keeps."""
    await check_unload(request, model)
    await front_of(request).engines.unload(model)
    return json_response(reply.mark("unload"))


def load_only(model: Model, asked: Asking) -> Order:
    """An order without a call. Its answer is one object, whatever the request says of streams."""
    options = read_options(asked.options, model.parameters)
    return Order(model, (), stream=False, keep_alive=asked.keep_alive, options=options)
