"""The answers of Ollama's router itself: pages for wrong paths and methods, redirects."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import quote, unquote

from aiohttp import web

_PLAIN: Final = {"Content-Type": "text/plain"}
_URL: Final = "%!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""Printable ASCII, as a client wrote it; in a path fewer of them are left."""
_PATH: Final = "%!$&'()*+,-./:;=@[]_~"
_ORDER: Final = ("HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def not_found() -> web.Response:
    """404 for a path that is no route."""
    return web.Response(status=404, body=b"404 page not found", headers=_PLAIN)


def not_allowed(methods: Iterable[str]) -> web.Response:
    """405 for a route that has no such method."""
    return web.Response(status=405, body=b"405 method not allowed", headers={**_PLAIN, "Allow": allow(methods)})


def allow(methods: Iterable[str]) -> str:
    """The value of ``Allow``."""
    return ", ".join(sorted(methods, key=_ORDER.index))


def redirect(method: str, status: int, location: str) -> web.Response:
    """301 or 307; only GET and HEAD get a page. ``location`` is path and query as the client wrote them."""
    location = _escaped(location)
    headers = {"Location": location}
    if method not in {"GET", "HEAD"}:
        return web.Response(status=status, headers=headers)
    phrase = {301: "Moved Permanently", 307: "Temporary Redirect"}[status]
    page = f'<a href="{_html(location)}">{phrase}</a>.\n\n'
    return web.Response(
        status=status, body=page.encode(), headers={**headers, "Content-Type": "text/html; charset=utf-8"}
    )


def clean(raw_path: str) -> str | None:
    """The path without doubled slashes and dot segments, when it has some; None when it is clean."""
    if "//" not in raw_path and "/." not in raw_path:
        return None
    cleaned = posixpath.normpath("/" + raw_path.lstrip("/"))
    if raw_path.endswith("/") and cleaned != "/":
        cleaned += "/"
    return cleaned if cleaned != raw_path else None


def spans_segments(raw_path: str) -> bool:
    """Does a path hide a slash in an escape? Ollama's routes look at the decoded path."""
    return "%2" in raw_path and unquote(raw_path).count("/") != raw_path.count("/")


def _escaped(location: str) -> str:
    """As Go writes an address: what no path holds is escaped, and what is not ASCII anywhere."""
    path, mark, query = location.partition("?")
    return quote(path, _PATH, errors="surrogateescape") + mark + quote(query, _URL, errors="surrogateescape")


def _html(text: str) -> str:
    """Go's own names for the quotes."""
    return escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
