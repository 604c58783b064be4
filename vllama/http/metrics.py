"""GET /metrics: our own metrics and those of every ready engine in one scrape, labelled by model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from vllama.engine.client import EngineClient
from vllama.errors import EngineError
from vllama.observe.exposition import merge
from vllama.observe.metrics import Metrics

_ENGINE_SECONDS = 1.0  # an engine that takes longer is left out of this scrape

METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
CLIENTS: web.AppKey[Callable[[], Mapping[str, EngineClient]]] = web.AppKey("clients")
"""Clients of the engines that are ready, by model name."""

routes = web.RouteTableDef()


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Prometheus text (version 0.0.4)."""
    clients = request.app[CLIENTS]()
    texts = await asyncio.gather(*(_scraped(client) for client in clients.values()))
    engines = {name: text for name, text in zip(clients, texts, strict=True) if text}
    body = merge(request.app[METRICS].render(), engines)
    return web.Response(text=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def _scraped(client: EngineClient) -> str:
    try:
        return (await client.get("/metrics", timeout=_ENGINE_SECONDS)).decode("utf-8", "replace")
    except EngineError:
        return ""
