"""The page for browsers: its files, read once, and which request is a browser's visit."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from aiohttp import web

from vllama import __version__

_WEB: Final = Path(__file__).parents[1] / "web"
_INDEX: Final = "index.html"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # ask each time, by the ETag: after an upgrade no old file meets a new one
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    kind: str
    tag: str


def is_navigation(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a person opens this address in a browser, and no program asks.

    Browsers send ``Sec-Fetch-Mode`` only over HTTPS and to the machine they run on. All of them want HTML first.
    """
    accept = headers.get("Accept", "").lower()
    navigates = headers.get("Sec-Fetch-Mode") == "navigate" and "text/html" in accept
    return method == "GET" and (navigates or accept.startswith("text/html"))


def page(request: web.Request, files: str) -> web.Response:
    """The page itself. ``files``: where its files are, as seen from the address it is shown at."""
    response = _answer(request, _index(files))
    response.headers["Vary"] = "Accept, Sec-Fetch-Mode"
    return response


def page_file(request: web.Request, name: str) -> web.Response:
    """One of its files. Raises HTTPNotFound."""
    found = _files().get(name)
    if found is None:
        raise web.HTTPNotFound
    return _answer(request, found)


def _answer(request: web.Request, file: _File) -> web.Response:
    headers = {**HEADERS, "ETag": file.tag}
    if file.tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, headers={**headers, "Content-Type": file.kind})


@cache
def _index(files: str) -> _File:
    text = (_WEB / _INDEX).read_text(encoding="utf-8")
    filled = text.replace("{version}", html.escape(__version__)).replace("{files}", html.escape(files))
    return _file(filled.encode(), ".html")


@cache
def _files() -> dict[str, _File]:
    """All of them as they were when the first was asked for: they fit each other, and this service."""
    found = (path for path in _WEB.rglob("*") if path.suffix in _TYPES and path.name != _INDEX)
    return {str(path.relative_to(_WEB)): _file(path.read_bytes(), path.suffix) for path in found}


def _file(body: bytes, suffix: str) -> _File:
    return _File(body, _TYPES[suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')
