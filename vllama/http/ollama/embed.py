"""``POST /api/embed`` and the older ``/api/embeddings`` (contract 5.4, 5.5)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import orjson
from aiohttp import web

from vllama.errors import BadRequest, EngineRefused, NotFound, VllamaError
from vllama.http.bodies import read_body
from vllama.http.front import front_of, meter_of
from vllama.http.keeping import granted
from vllama.http.leasing import answered
from vllama.http.lookup import PULL_FIRST, QUOTED, find_model, read_name
from vllama.http.ndjson import json_response
from vllama.models.model import Model
from vllama.quoting import excerpt
from vllama.supervisor.port import Lease
from vllama.translate.bounds import check_inputs
from vllama.translate.engine.embeddings import (
    EMBED_PATH,
    Inputs,
    embed_body,
    embed_fault,
    read_input,
    read_vectors,
    unit,
)
from vllama.translate.jsontext import encode
from vllama.translate.ollama import native
from vllama.translate.options import read_options

T = TypeVar("T")
_TEXT: Final = 20
"""Bytes of a number as the engine writes it."""
_LIGHT: Final = 1 << 20
"""Bytes of numbers that are read in some ten milliseconds."""


class EmbeddingFailed(VllamaError):
    """The older endpoint answers every failure of the model with 500."""

    code = "embedding_failed"


async def embed(request: web.Request) -> web.Response:
    """Vectors of length 1 for one text or many; without any it loads the model."""
    fields = await read_body(request, native.EMBED)
    texts = read_input(fields["input"])
    if not fields["model"]:
        raise NotFound(QUOTED.format(""))
    model = find_model(front_of(request), fields["model"], missing=PULL_FIRST)
    read_options(fields["options"], model.parameters)
    out: dict[str, object] = {"model": fields["model"], "embeddings": []}
    vectors, tokens, loaded = await run_embedding(
        request, model, texts, keep_alive=fields["keep_alive"], truncate=fields["truncate"] is not False
    )
    if texts:
        out["embeddings"] = await units(vectors, fields["dimensions"])
        began = meter_of(request).began
        out["total_duration"] = max(1, round((time.perf_counter() - began) * 1e9))
        out["load_duration"] = max(1, round((loaded - began) * 1e9))
    if tokens:
        out["prompt_eval_count"] = tokens
    return json_response(encode(out))


async def embeddings(request: web.Request) -> web.Response:
    """One vector for one text, as the engine gives it."""
    fields = await read_body(request, native.EMBEDDING)
    if not fields["model"]:
        raise BadRequest("model is required")
    model = find_model(front_of(request), fields["model"], missing=PULL_FIRST)
    if read_name(fields["model"]) != model.name:  # the one endpoint of Ollama's that minds the case
        raise NotFound(PULL_FIRST.format(excerpt(fields["model"])))
    read_options(fields["options"], model.parameters)
    texts = [fields["prompt"]] if fields["prompt"] else []
    try:
        vectors, _, _ = await run_embedding(request, model, texts, keep_alive=fields["keep_alive"], truncate=False)
    except BadRequest as error:
        raise EmbeddingFailed(error.message) from error
    return json_response(encode({"embedding": vectors[0] if vectors else []}))


async def units(vectors: Sequence[Sequence[float]], dimensions: int) -> list[list[float]]:
    """All of them at length 1."""
    numbers = sum(map(len, vectors))
    return await _beside(lambda: [unit(vector, dimensions) for vector in vectors], _TEXT * numbers)


async def _beside(work: Callable[[], T], size: int) -> T:
    """Do what goes over so many bytes of numbers; where that takes long, beside the event loop."""
    return work() if size <= _LIGHT else await asyncio.to_thread(work)


async def run_embedding(
    request: web.Request, model: Model, texts: Inputs, *, keep_alive: float | None = None, truncate: bool = True
) -> tuple[list[list[float]], int, float]:
    """Vectors as the engine gives them, input tokens, and when the model was ready (``perf_counter`` seconds).

    Without texts the model is only loaded.
    """
    meter = meter_of(request)
    meter.model = model.name.short
    check_inputs(texts)
    kept = await granted(request, model, keep_alive)

    async def ask(lease: Lease) -> tuple[bytes, float]:
        loaded = time.perf_counter()
        if not texts:
            return b"", loaded
        body = embed_body(texts, lease.served_name, lease.max_model_len, truncate=truncate)
        return await lease.client.call(EMBED_PATH, body), loaded

    try:
        answer, loaded = await answered(request, model, ask, keep_alive=kept)
    except EngineRefused as error:
        raise embed_fault(error) from error
    if not texts:
        return [], 0, loaded
    vectors, tokens = await _beside(lambda: read_vectors(orjson.loads(answer)), len(answer))
    meter.usage(tokens, 0)
    return vectors, tokens, loaded
