"""``GET /vllama/health``: the doctor's checks, the engines' last failures, objectives, versions."""

from __future__ import annotations

import platform
from typing import Any, Final

from aiohttp import web

from vllama import __version__
from vllama.errors import without_paths
from vllama.http.front import Found, front_of
from vllama.http.plain_json import json_response
from vllama.jsontext import encode

routes = web.RouteTableDef()
_STATES: Final = {"good": "ok", "warning": "warning", "bad": "error"}
_ELSEWHERE: Final = "vllama doctor on the server says what to do."
"""A command that has lost its path would do something else."""


@routes.get("/vllama/health")
async def health(request: web.Request) -> web.Response:
    """One object. ``hint`` is left out where nothing is to be done."""
    front = front_of(request)
    checks = [_check(found) for found in await front.health.findings()]
    failures = [
        {"at": failure.at, "model": failure.model, "cause": without_paths(failure.cause)}
        for failure in front.lookout.failures.last()
    ]
    slos = [budget.shown() for budget in front.lookout.slos.budgets()]
    versions = {"vllama": __version__, "python": platform.python_version(), "system": platform.system()}
    if front.health.engine:
        versions["engine"] = front.health.engine
    return json_response(encode({"checks": checks, "failures": failures, "slos": slos, "versions": versions}))


def _check(found: Found) -> dict[str, Any]:
    out = {"name": found.name, "state": _STATES[found.state], "text": without_paths(found.text)}
    if not found.fix:
        return out
    return {**out, "hint": found.fix if without_paths(found.fix) == found.fix else _ELSEWHERE}
