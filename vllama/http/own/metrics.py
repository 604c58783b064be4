"""GET /metrics: our own metrics and those of every ready engine in one scrape, labelled by model."""

from __future__ import annotations

from aiohttp import web

from vllama.http.front import front_of

routes = web.RouteTableDef()


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Prometheus text (version 0.0.4)."""
    text = await front_of(request).books.metrics.scrape()
    return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
