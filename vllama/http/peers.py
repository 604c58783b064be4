"""Decides by the peer's address who may use models and who may manage them. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal

from vllama.config.schema import Access, Keys, Server
from vllama.http.forwarding import IpAddress, Trail, read_address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Written out: ipaddress counts documentation, benchmarking and carriers' ranges as private, too.
_LOCAL: Final = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
    )
)
_MANAGING: Final = frozenset(
    {
        *(("POST", f"/api/{verb}") for verb in ("pull", "push", "create", "copy")),
        ("DELETE", "/api/delete"),
        ("POST", "/api/blobs/{digest}"),
        ("DELETE", "/vllama/requests/{id}"),
        ("DELETE", "/vllama/usage"),
    }
)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a request."""

    address: IpAddress | None
    """None: a program on this machine, over a unix socket; or nobody knows (``unknown``)."""
    hidden: bool = False
    """Behind a proxy, and ``address`` is only the proxy's."""
    unknown: bool = False
    """A trusted proxy does not say who calls, or not in words that can be read."""

    @property
    def local(self) -> bool:
        """The connection comes from this machine, whoever is behind it."""
        return not self.unknown and (self.address is None or self.address.is_loopback)

    @property
    def here(self) -> bool:
        """A program on this machine, as far as can be known."""
        return self.local and not self.hidden

    def __str__(self) -> str:
        if self.unknown:
            return "someone behind a proxy that does not say who calls"
        where = "a local socket" if self.address is None else str(self.address)
        return f"someone behind {where}" if self.hidden else where


@dataclass(frozen=True, slots=True)
class Reach:
    """The rules of the ``server`` section."""

    access: Access
    management: Access
    networks: tuple[Network, ...]
    proxies: tuple[Network, ...]
    keys: Keys

    def peer(self, remote: str | None, trail: Trail) -> Peer:
        """``remote``: the connection's other end. ``trail``: what the request's headers say.

        Only a connection can be from this machine. A loopback address that a proxy reports is the proxy's machine.
        """
        address = read_address(remote or "")
        if not trail.proxied or not self.is_proxy(address):
            return Peer(address, hidden=trail.proxied)
        reporter = address
        for found in reversed(trail.addresses):
            if found is None:
                return Peer(None, unknown=True)
            if not self.is_proxy(found):
                return Peer(reporter, hidden=True) if found.is_loopback else Peer(found)
            reporter = reporter if found.is_loopback else found
        if not trail.addresses:
            return Peer(None, unknown=True)
        return Peer(reporter, hidden=reporter is not None and (reporter == address or reporter.is_loopback))

    def serves(self, peer: Peer) -> bool:
        """May it use models?"""
        return self._allows(self.access, peer)

    def lets_in(self, peer: Peer, scope: Literal["use", "manage"] | None) -> bool:
        """Does it need no key, or show one? ``scope``: what its key allows."""
        return scope is not None or self._exempt(peer)

    def lets_manage(self, peer: Peer, scope: Literal["use", "manage"] | None) -> bool:
        """May it pull, push, create, copy and delete models, and say how long they stay loaded?"""
        if scope == "manage":
            return True
        known = not peer.hidden and not peer.unknown
        return known and self._exempt(peer) and self._allows(self.management, peer)

    def _exempt(self, peer: Peer) -> bool:
        return self.keys == "optional" or (self.keys == "required" and peer.here)

    def _allows(self, access: Access, peer: Peer) -> bool:
        if access == "any":
            return True
        if access == "loopback" or peer.unknown:
            return peer.here
        return peer.local or any(peer.address in network for network in (*_LOCAL, *self.networks))

    def is_proxy(self, address: IpAddress | None) -> bool:
        """Is it one of ``server.trusted_proxies``?"""
        return address is not None and any(address in network for network in self.proxies)


def read_reach(server: Server) -> Reach:
    """The rules as configured; networks were checked by the schema."""
    return Reach(
        access=server.access,
        management=server.management,
        networks=tuple(map(ipaddress.ip_network, server.networks)),
        proxies=tuple(map(ipaddress.ip_network, server.trusted_proxies)),
        keys=server.keys,
    )


def is_management(method: str, route: str) -> bool:
    """Whether a request changes what models there are; ``route`` is the pattern, not the path."""
    return (method, route) in _MANAGING
