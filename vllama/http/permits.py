"""Decides by peer, Host and key whether a request is served, and who its caller is."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vllama.caller import Caller, Scope
from vllama.config.keys import Key, KeyRing
from vllama.config.schema import People
from vllama.errors import Forbidden, Unauthorized
from vllama.http.access import HostCheck
from vllama.http.forwarding import read_trail
from vllama.http.peers import Peer, Reach, is_management
from vllama.http.people import is_named, person_of
from vllama.http.visit import known_visit
from vllama.observe.seldom import Seldom

_OPEN: Final = frozenset({"/", "/api/version", "/vllama/"})
"""Health checks need no key, nor does the page; what it shows does."""
_FILES: Final = "/vllama/web/{file}"
"""Files of the page."""
_SHOWN: Final = 100
"""Characters of a Host that are repeated in an answer."""


def make_permits(reach: Reach, hosts: HostCheck, keys: KeyRing, people: People | None = None) -> Middleware:
    """The innermost middleware: what it raises is written in the dialect of the path."""
    seldom = Seldom(logging.getLogger(__name__))

    @web.middleware
    async def permits(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = peer_of(request, reach)
        if not reach.serves(peer):
            hint = "server.access and server.networks in the server's configuration decide which clients are served."
            raise Forbidden(f"{peer} is not served", hint=hint)
        secret, host = _secret(request), host_of(request)
        managing = is_management(request.method, _route(request))
        foreign = (managing or peer.local) and not hosts.allow(host)
        if secret and (foreign or managing or not reach.lets_in(peer, None)):  # it may be meant for others
            await keys.look()
        elif secret and people is not None and is_named(request, people) and keys.find(secret) is None:
            await keys.look()  # a key may allow to name persons
        caller = _caller(peer, keys.find(secret) if secret else None)
        scope = caller.scope
        if foreign and scope is None:  # a page that its DNS server bound to our address has no key
            seldom.warn("host", "refused Host %s, sent by %s", host[:_SHOWN], peer)
            raise _foreign(host)
        if (visit := known_visit(request)) is not None:
            person = person_of(request, people, reach, peer, caller) if people is not None else ""
            visit.meter.caller = replace(caller, person=person) if person else caller
            visit.may_manage = partial(_may_manage, reach, peer, keys, secret)
        if managing and not reach.lets_manage(peer, scope):
            raise _no_manager(reach, peer, secret, scope)
        if not managing and not _is_open(request) and not reach.lets_in(peer, scope):
            raise _no_key(secret)
        return await handler(request)

    return permits


def _is_open(request: web.Request) -> bool:
    return request.path in _OPEN or _route(request) == _FILES


async def _may_manage(reach: Reach, peer: Peer, keys: KeyRing, secret: str) -> bool:
    if reach.lets_manage(peer, None) or not secret:
        return reach.lets_manage(peer, None)
    await keys.look()
    key = keys.find(secret)
    return reach.lets_manage(peer, key.scope if key is not None else None)


def _caller(peer: Peer, key: Key | None) -> Caller:
    return Caller(str(peer)) if key is None else Caller(str(peer), key.id, key.name, key.scope)


def peer_of(request: web.Request, reach: Reach) -> Peer:
    """Who sent this request."""
    return reach.peer(request.remote, read_trail(lambda name: request.headers.getall(name, ())))


def host_of(request: web.Request) -> str:
    """The name by which the client calls us."""
    return request.url.authority if names_a_host(request) else request.headers.get("Host", "")


def names_a_host(request: web.Request) -> bool:
    """The request line of a proxy's client holds a whole address, whose host counts."""
    return request.raw_path.startswith(("http://", "https://"))


def _foreign(host: str) -> Forbidden:
    return Forbidden(
        f"the Host {host[:_SHOWN]!r} is not a name of this server",
        hint=(
            "If it is one, add it to server.names in the server's configuration. "
            "A reverse proxy may send 'Host: localhost' instead."
        ),
    )


def _no_key(secret: str) -> Unauthorized:
    if secret:
        return Unauthorized(
            "this API key is not known",
            hint="It may have been revoked: 'vllama keys list' on the server shows all keys.",
        )
    return Unauthorized("an API key is needed", hint="Send it as 'Authorization: Bearer KEY'.")


def _no_manager(reach: Reach, peer: Peer, secret: str, scope: Scope | None) -> Forbidden | Unauthorized:
    if reach.keys == "everyone" and scope is None:
        return _no_key(secret)
    hint = "A key of 'vllama keys add --scope manage' allows it, or server.management in the server's configuration."
    if scope is not None:
        return Forbidden("this API key may use models, but not manage them", hint=hint)
    if secret:
        hint = f"The API key that was sent is not known; it may have been revoked. {hint}"
    if peer.hidden:
        hint = f"{hint} Add the proxy's address to server.trusted_proxies."
    return Forbidden(f"{peer} may not manage models: only the server's own machine may", hint=hint)


def _secret(request: web.Request) -> str:
    """The key that came with the request, in OpenAI's header or Anthropic's."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else request.headers.get("X-Api-Key", "")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""
