"""``GET /vllama/history``: the last 15 minutes as points of ten seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

from vllama.http.front import front_of
from vllama.http.plain_json import json_response
from vllama.jsontext import encode
from vllama.observe.history import STEP, Point

routes = web.RouteTableDef()


@routes.get("/vllama/history")
async def history(request: web.Request) -> web.Response:
    """Oldest first; quantiles that no answer had are left out."""
    points = [shown(point) for point in front_of(request).lookout.history.points()]
    return json_response(encode({"step": STEP, "points": points}))


def shown(point: Point) -> dict[str, Any]:
    """One point."""
    return {key: value for key, value in asdict(point).items() if value is not None}
