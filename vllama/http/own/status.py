"""``GET /vllama/status``: the machine, every engine with its numbers, who waits, what is to be done."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from vllama import __version__
from vllama.engine.progress import reached
from vllama.errors import without_paths
from vllama.http.front import Front, front_of
from vllama.http.own.engines import shown
from vllama.http.plain_json import json_response
from vllama.http.visit import Visit, visit_of
from vllama.jsontext import encode
from vllama.observe.gauges import Gauges
from vllama.observe.machine import Machine
from vllama.observe.watch import Sight
from vllama.supervisor.port import LOADING, EngineView

routes = web.RouteTableDef()
_EMPTY: Final = frozenset({"absent", "planning", "asleep", "backoff", "broken"})
"""Phases in which an engine holds neither weights nor a KV cache where it computes."""


@routes.get("/vllama/status")
async def status(request: web.Request) -> web.Response:
    """One object; what is not known is left out."""
    front = front_of(request)
    return json_response(encode(await read_status(front, visit_of(request))))


async def read_status(front: Front, visit: Visit) -> dict[str, Any]:
    """As this caller may see it. Sizes in bytes, times in Unix seconds, shares from 0 to 1."""
    lookout = front.lookout
    sight = await lookout.watch.sight()
    views = front.engines.snapshot()
    out: dict[str, Any] = {
        "version": __version__,
        "state": lookout.state,
        "started": lookout.started,
        "now": time.time(),
        "engines": [engine(view, sight) for view in views],
        "waiting": [_waiting(view) for view in views if view.waiting],
        "notices": [without_paths(text) for text in lookout.notices],
        "may_manage": await visit.may_manage(),
        "keys": bool(visit.caller.id),
    }
    if lookout.engine_version:
        out["engine_version"] = lookout.engine_version
    if (machine := lookout.machine.latest) is not None:
        out["machine"] = _machine(machine, lookout.energy.idle_watts())
    if (address := lookout.address) is not None:
        out["address"] = {"host": address[0], "port": address[1]}
    return out


def _machine(machine: Machine, idle: Mapping[str, float]) -> dict[str, Any]:
    """``engines``: RAM that our engines hold; ``other``: what other programs hold of a GPU.

    ``idle``: watts of each device (``cpu``, ``gpu0``) while nothing is answered.
    """
    gpus = []
    for gpu in machine.gpus:
        known = {
            "other": machine.other(gpu),
            "utilization": gpu.utilization,
            "power": gpu.power,
            "temperature": gpu.temperature,
        }
        shown = {key: value for key, value in known.items() if value is not None}
        gpus.append(
            {"index": gpu.index, "name": gpu.name, "total": gpu.total, "used": gpu.used, "free": gpu.free, **shown}
        )
    memory = {"total": machine.total, "free": machine.free, "used": machine.used, "engines": machine.held}
    measured = {"idle_watts": dict(idle)} if idle else {}
    return {"cores": machine.cores, "memory": memory, "gpus": gpus, **measured}


def engine(view: EngineView, sight: Sight) -> dict[str, Any]:
    """As ``/vllama/engines`` shows it, with the numbers of its work and its share of the machine."""
    name = view.model.name.short
    gauges = sight.gauges.get(name, Gauges())
    held = {} if view.phase in _EMPTY else {"weights": view.weights or None, "kv_cache": view.kv_cache or None}
    known = {
        **held,
        "max_requests": view.max_requests or None,
        "device": _device(view),
        "running": gauges.running,
        "engine_waiting": gauges.waiting,
        "kv_used": gauges.kv_used,
        "tokens_per_second": sight.rates.get(name),
        "percent": reached(view.stage) if view.phase in LOADING else None,
    }
    out = {**shown(view), **{key: value for key, value in known.items() if value is not None}}
    if view.expires_at is not None:
        out["expires_at"] = None if math.isinf(view.expires_at) else view.expires_at
    return out


def _device(view: EngineView) -> str | list[int] | None:
    """None: not planned yet, or on GPUs that can't be told."""
    return [*view.gpus] or ("cpu" if view.size and not view.size_vram else None)


def _waiting(view: EngineView) -> dict[str, Any]:
    """``why``, in people's words."""
    name = view.model.name.short
    why = without_paths(view.cause) or (f"{name}: {view.stage}" if view.stage else f"{name} is {view.phase}")
    return {"model": name, "requests": view.waiting, "why": why}
