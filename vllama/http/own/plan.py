"""``GET /vllama/plan?model=NAME``: whether a model would fit on this machine, also before it is pulled."""

from __future__ import annotations

from aiohttp import web

from vllama.errors import BadRequest
from vllama.http.front import front_of
from vllama.http.plain_json import json_response
from vllama.jsontext import encode
from vllama.models.names import parse_name
from vllama.quoting import excerpt

routes = web.RouteTableDef()


@routes.get("/vllama/plan")
async def plan(request: web.Request) -> web.Response:
    """One object; what is not known is left out. Sizes in bytes."""
    asked = request.query.get("model", "")
    name = parse_name(asked)
    if name is None:
        raise BadRequest(f"{excerpt(asked)} is not a model name", hint="Ask for /vllama/plan?model=NAME.")
    return json_response(encode((await front_of(request).forecasts.of(name)).shown()))
