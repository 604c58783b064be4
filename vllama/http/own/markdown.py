"""``POST /vllama/markdown``: an answer's Markdown as HTML, for the page."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from vllama.errors import BadRequest, TooLarge
from vllama.http.front import front_of
from vllama.http.markdown import to_html
from vllama.http.visit import visit_of

routes = web.RouteTableDef()
_LONGEST: Final = 1 << 20
"""Bytes."""


@routes.post("/vllama/markdown")
async def markdown(request: web.Request) -> web.Response:
    """The body is text in UTF-8. Raises TooLarge, BadRequest, TookTooLong, Busy."""
    front = front_of(request)
    if (request.content_length or 0) > _LONGEST:
        raise TooLarge(f"the text is longer than {_LONGEST} bytes")
    async with front.intake.body(request) as data:
        if len(data) > _LONGEST:
            raise TooLarge(f"the text is longer than {_LONGEST} bytes")
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise BadRequest("the text is not UTF-8") from error
    html = await front.aside.run(visit_of(request).caller.address, to_html, text)
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'"}
    return web.Response(body=html.encode(), headers={**headers, "X-Content-Type-Options": "nosniff"})
