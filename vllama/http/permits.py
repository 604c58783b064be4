"""Lets a request in, or says why not: the peer's address and the key it shows, against the ``server`` section."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vllama.config.keys import KeyRing, Scope
from vllama.errors import Forbidden, Unauthorized
from vllama.http.peers import Peer, Reach, is_management

_OPEN: Final = frozenset({"/", "/api/version"})
"""Health checks need no key."""


def make_permits(reach: Reach, keys: KeyRing) -> Middleware:
    """The innermost middleware: what it raises is told in the dialect of the path."""

    @web.middleware
    async def permits(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = reach.peer(request.remote, _forwarded(request))
        if not reach.serves(peer):
            hint = "server.access and server.networks in the server's configuration say who is served."
            raise Forbidden(f"{peer} is not served", hint=hint)
        if is_management(request.method, _route(request)):
            _check_management(reach, peer, await _scope(request, keys))
        elif (
            reach.keys_required and not peer.here and request.path not in _OPEN and await _scope(request, keys) is None
        ):
            raise Unauthorized("an API key is needed", hint="Send it as 'Authorization: Bearer KEY'.")
        return await handler(request)

    return permits


def _check_management(reach: Reach, peer: Peer, scope: Scope | None) -> None:
    if scope == "manage" or (reach.lets_manage(peer) and (peer.here or not reach.keys_required)):
        return
    hint = (
        "A key made by 'vllama keys add --scope manage' allows it, or server.management in the server's configuration."
    )
    if peer.hidden:
        hint = f"{hint} The proxy's address belongs into server.trusted_proxies."
    raise Forbidden(f"{peer} may not manage models: that is for the server's own machine", hint=hint)


async def _scope(request: web.Request, keys: KeyRing) -> Scope | None:
    """What the key allows that came with the request, in OpenAI's header or Anthropic's."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip() if kind.lower() == "bearer" else request.headers.get("X-Api-Key", "")
    if not secret:
        return None
    await keys.look()
    return keys.scope(secret)


def _forwarded(request: web.Request) -> list[str]:
    lines = request.headers.getall("X-Forwarded-For", [])
    addresses = [address for line in lines for address in line.split(",")]
    return addresses or (["unknown"] if "Forwarded" in request.headers else [])


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""
