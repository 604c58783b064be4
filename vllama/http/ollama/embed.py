"""``POST /api/embed`` and the older ``/api/embeddings``."""

from __future__ import annotations

import time

from aiohttp import web

from vllama.answering import embedding
from vllama.answering.embedding import units
from vllama.errors import BadRequest, NotFound, VllamaError
from vllama.http.bodies import read_body
from vllama.http.front import desk_of, front_of
from vllama.http.keeping import granted
from vllama.http.lookup import PULL_FIRST, QUOTED, find_model, read_name
from vllama.http.plain_json import json_response
from vllama.http.visit import visit_of
from vllama.jsontext import encode
from vllama.quoting import excerpt
from vllama.supervisor.port import Wish
from vllama.translate.engine.embeddings import read_input
from vllama.translate.ollama.requests import EmbeddingRequest, EmbedRequest
from vllama.translate.options import read_options


class EmbeddingFailed(VllamaError):
    """The older endpoint answers every failure of the model with 500."""

    code = "embedding_failed"


async def embed(request: web.Request) -> web.Response:
    """Vectors of length 1 for one text or many; without any it loads the model."""
    asked = await read_body(request, EmbedRequest)
    texts = read_input(asked.input)
    if not asked.model:
        raise NotFound(QUOTED.format(""))
    model = find_model(front_of(request), asked.model, missing=PULL_FIRST)
    read_options(asked.options, model.parameters)
    out: dict[str, object] = {"model": asked.model, "embeddings": []}
    kept = await granted(request, model, asked.keep_alive)
    found = await embedding.embed(desk_of(request, model), Wish(model, kept), texts, truncate=asked.truncate)
    if texts:
        out["embeddings"] = await units(found.vectors, asked.dimensions)
        began = visit_of(request).meter.began
        out["total_duration"] = max(1, round((time.perf_counter() - began) * 1e9))
        out["load_duration"] = max(1, round((found.loaded - began) * 1e9))
    if found.tokens:
        out["prompt_eval_count"] = found.tokens
    return json_response(encode(out))


async def embeddings(request: web.Request) -> web.Response:
    """One vector for one text, as the engine gives it."""
    asked = await read_body(request, EmbeddingRequest)
    if not asked.model:
        raise BadRequest("model is required")
    model = find_model(front_of(request), asked.model, missing=PULL_FIRST)
    if read_name(asked.model) != model.name:  # the one endpoint of Ollama's that minds the case
        raise NotFound(PULL_FIRST.format(excerpt(asked.model)))
    read_options(asked.options, model.parameters)
    texts = [asked.prompt] if asked.prompt else []
    kept = await granted(request, model, asked.keep_alive)
    try:
        found = await embedding.embed(desk_of(request, model), Wish(model, kept), texts, truncate=False)
    except BadRequest as error:
        raise EmbeddingFailed(error.message) from error
    return json_response(encode({"embedding": found.vectors[0] if found.vectors else []}))
