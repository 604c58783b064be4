"""``GET /vllama/engines``: every engine and its phase, also those that are loading or have failed.

Ollama's ``/api/ps`` knows only models that are loaded; ``vllama ps`` asks both.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from vllama.errors import without_paths
from vllama.http.front import front_of
from vllama.http.plain_json import json_response
from vllama.jsontext import encode
from vllama.supervisor.port import EngineView

routes = web.RouteTableDef()


@routes.get("/vllama/engines")
async def engines(request: web.Request) -> web.Response:
    """One object an engine; what is not known yet is left out."""
    return json_response(encode({"engines": [shown(view) for view in front_of(request).engines.snapshot()]}))


def shown(view: EngineView) -> dict[str, Any]:
    """Sizes in bytes, ``since`` in Unix seconds."""
    known = {
        "stage": view.stage,
        "size": view.size,
        "size_vram": view.size_vram,
        "context_length": view.context_length,
        "kv_tokens": view.kv_tokens,
        "code_from": view.code_from,
        "code_fault": without_paths(view.code_fault),
        "pid": view.pid,
        "code": view.code,
        "compiling": without_paths(view.compiling),
        "cause": without_paths(view.cause),
    }
    return {
        "name": view.model.name.short,
        "digest": view.model.digest,
        "phase": view.phase,
        "since": view.since,
        "leases": view.leases,
        "waiting": view.waiting,
        "restarts": view.restarts,
        **{key: value for key, value in known.items() if value},
    }
