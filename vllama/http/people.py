"""Reads who is behind a request from the header of a caller that is trusted with it."""

from __future__ import annotations

from aiohttp import web

from vllama.caller import Caller
from vllama.config.schema import People
from vllama.http.forwarding import read_address
from vllama.http.peers import Peer, Reach

_LONGEST = 200
"""Characters of a name; a longer one is no name."""


def is_named(request: web.Request, people: People) -> bool:
    """Does the request name a person, and does it depend on its key whether that is believed?"""
    return bool(people.keys) and people.header is not None and people.header in request.headers


def person_of(request: web.Request, people: People, reach: Reach, peer: Peer, caller: Caller) -> str:
    """Empty where nobody is named, or where the caller is not trusted with it."""
    if people.header is None:
        return ""
    found = request.headers.getall(people.header, ())
    trusted = peer.here or reach.is_proxy(read_address(request.remote or ""))
    if len(found) != 1 or not (trusted or (caller.id and not {caller.id, caller.name}.isdisjoint(people.keys))):
        return ""
    name = found[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
    return name if name.isprintable() and len(name) <= _LONGEST else ""
