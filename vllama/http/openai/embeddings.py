"""OpenAI's embeddings."""

from __future__ import annotations

from aiohttp import web

from vllama.answering import embedding
from vllama.answering.embedding import units
from vllama.errors import NotFound
from vllama.http.front import desk_of, front_of
from vllama.http.lookup import PULL_FIRST, QUOTED, find_model
from vllama.supervisor.port import Wish
from vllama.translate.engine.embeddings import Inputs, read_input
from vllama.translate.openai.completions_requests import EmbeddingsRequest, token_lists
from vllama.translate.openai.listing import embeddings_answer


async def embeddings(request: web.Request, asked: EmbeddingsRequest) -> web.Response:
    """Vectors of length 1, as numbers or as packed floats."""
    texts: Inputs = token_lists(asked.input) or ([""] if asked.input == "" else read_input(asked.input))
    if not asked.model:
        raise NotFound(QUOTED.format(""))
    model = find_model(front_of(request), asked.model, missing=PULL_FIRST)
    found = await embedding.embed(desk_of(request, model), Wish(model), texts)
    vectors = await units(found.vectors, asked.dimensions)
    body = embeddings_answer(asked.model, vectors, found.tokens, base64=asked.base64)
    return web.Response(body=body, headers={"Content-Type": "application/json"})
