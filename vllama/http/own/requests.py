"""``GET /vllama/requests``: what is being answered, and the last requests; never what they said.

Who manages the service sees all of them and may cancel one. Others see their own.
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from vllama.caller import Caller
from vllama.errors import NotFound
from vllama.http.front import front_of
from vllama.http.plain_json import json_response
from vllama.http.visit import Visit, visit_of
from vllama.jsontext import encode
from vllama.observe.meter import Meter
from vllama.observe.spent import Spent
from vllama.quoting import excerpt

routes = web.RouteTableDef()


@routes.get("/vllama/requests")
async def requests(request: web.Request) -> web.Response:
    """``live``: oldest first; ``ended``: newest first."""
    book, visit = front_of(request).books.requests, visit_of(request)
    everyone, now = await visit.may_manage(), time.perf_counter()
    live = [running(meter, now) for meter in book.live() if everyone or is_own(visit, meter.caller)]
    ended = [over(spent) for spent in book.last() if everyone or is_own(visit, spent.caller)]
    return json_response(encode({"live": live, "ended": ended}))


@routes.delete("/vllama/requests/{id}")
async def cancel(request: web.Request) -> web.Response:
    """End all requests of this id; their clients are told."""
    wanted = request.match_info["id"]
    found = [meter for meter in front_of(request).books.requests.live() if meter.request_id == wanted]
    if not found:
        raise NotFound(f"no request {excerpt(wanted)} is being answered")
    for meter in found:
        meter.cancel()
    return json_response(encode({"cancelled": len(found)}))


def is_own(visit: Visit, caller: Caller) -> bool:
    """Did the same key send both, or, without keys, the same address?"""
    mine = visit.caller
    return (mine.id, "" if mine.id else mine.address) == (caller.id, "" if caller.id else caller.address)


def running(meter: Meter, now: float) -> dict[str, Any]:
    """One that is being answered; ``now`` in ``perf_counter`` seconds."""
    phase = "waiting" if meter.waiting is None else "prefill" if meter.first_token is None else "decode"
    known = {
        "waiting": meter.waiting,
        "ttft": meter.first_token,
        "prompt_tokens": meter.prompt_tokens or None,
        "generated_tokens": meter.generated_tokens or None,
    }
    return {
        **_named(meter.request_id, meter.at, meter.model, meter.route, meter.caller),
        "phase": phase,
        "seconds": now - meter.began,
        **{key: value for key, value in known.items() if value is not None},
    }


def over(spent: Spent) -> dict[str, Any]:
    """One that has ended."""
    known = {
        "waiting": spent.waiting,
        "ttft": spent.first_token,
        "prompt_tokens": spent.prompt_tokens or None,
        "cached_tokens": spent.cached_tokens or None,
        "generated_tokens": spent.generated_tokens or None,
        "tokens_per_second": spent.tokens_per_second,
    }
    return {
        **_named(spent.request_id, spent.began, spent.model, spent.route, spent.caller),
        "seconds": spent.seconds,
        "status": spent.status,
        "outcome": spent.outcome,
        **{key: value for key, value in known.items() if value is not None},
    }


def _named(request_id: str, began: float, model: str, route: str, caller: Caller) -> dict[str, Any]:
    named = {"id": request_id, "began": began, "model": model, "route": route, "caller": caller.address}
    known = {"key": caller.name, "person": caller.person}
    return {**named, **{key: value for key, value in known.items() if value}}
