"""``GET /vllama/`` and ``/vllama/web/FILE``: the page for browsers, also at ``/``. It needs no key; its data does."""

from __future__ import annotations

from aiohttp import web

from vllama.http.page import page, page_file

routes = web.RouteTableDef()


@routes.get("/vllama/")
async def index(request: web.Request) -> web.Response:
    """The page, whoever asks."""
    return page(request, "web/")


@routes.get("/vllama/web/{file:.+}")
async def file(request: web.Request) -> web.Response:
    """A stylesheet, a module or the icon."""
    return page_file(request, request.match_info["file"])
