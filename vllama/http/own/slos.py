"""``GET /vllama/slos``: every service level objective, what is left of its error budget, and how fast it burns."""

from __future__ import annotations

from aiohttp import web

from vllama.http.front import front_of
from vllama.http.plain_json import json_response
from vllama.jsontext import encode

routes = web.RouteTableDef()


@routes.get("/vllama/slos")
async def slos(request: web.Request) -> web.Response:
    """One object an objective, in the order of the configuration; shares from 0 to 1, times in seconds."""
    return json_response(encode({"slos": [budget.shown() for budget in front_of(request).lookout.slos.budgets()]}))
