"""The routes of Ollama's root, version, status and account."""

from __future__ import annotations

from aiohttp import web

from vllama.errors import Forbidden, VllamaError
from vllama.http.front import front_of
from vllama.http.page import is_navigation, page
from vllama.http.plain_json import json_response
from vllama.jsontext import encode


class NotSignedIn(VllamaError):
    """There is no account: this server has no cloud."""

    code = "not_signed_in"
    status = 401


async def root(request: web.Request) -> web.Response:
    """A browser gets the page. Everyone else gets this text: launchers compare it."""
    if is_navigation(request.method, request.headers):
        return page(request, "vllama/web/")
    return web.Response(body=b"Ollama is running", headers={"Content-Type": "text/plain; charset=utf-8"})


async def version(request: web.Request) -> web.Response:
    """The Ollama version whose API we speak."""
    return json_response(encode({"version": front_of(request).version}))


async def status(_: web.Request) -> web.Response:
    """Whether requests may go to Ollama's cloud: never."""
    return json_response(encode({"cloud": {"disabled": True, "source": "env"}}))


async def me(_: web.Request) -> web.Response:
    """The signed-in account. There is never one."""
    raise NotSignedIn("unauthorized")


async def signout(_: web.Request) -> web.Response:
    """Sign out. Nobody can be signed in."""
    raise NotSignedIn("you are not currently signed in")


async def recommendations(_: web.Request) -> web.Response:
    """Models that Ollama's cloud recommends. vLLama sends no such request, so there are none."""
    return json_response(b'{"recommendations":[]}')


async def web_search(_: web.Request) -> web.Response:
    """A service of Ollama's cloud."""
    raise Forbidden("ollama cloud is disabled: web search is unavailable")


async def web_fetch(_: web.Request) -> web.Response:
    """A service of Ollama's cloud."""
    raise Forbidden("ollama cloud is disabled: web fetch is unavailable")
