"""OpenAI's list of models."""

from __future__ import annotations

from aiohttp import web

from vllama.http.front import front_of
from vllama.http.lookup import QUOTED, get_model, read_name
from vllama.translate.openai.listing import model_answer, model_entry, model_list

_JSON = {"Content-Type": "application/json"}


async def list_models(request: web.Request) -> web.Response:
    """All models, newest first."""
    models = sorted(front_of(request).models.all(), key=lambda model: -model.modified_at)
    entries = [model_entry(model.name.short, model.modified_at, model.name.namespace) for model in models]
    return web.Response(body=model_list(entries), headers=_JSON)


async def retrieve_model(request: web.Request) -> web.Response:
    """One model; it is named as in the address."""
    typed = request.match_info["model"]
    name = read_name(typed)
    model = get_model(front_of(request), name, QUOTED.format(name.short))
    return web.Response(body=model_answer(model_entry(typed, model.modified_at, name.namespace)), headers=_JSON)
