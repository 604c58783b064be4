"""Who may call us, and who may manage models: decisions by the peer's address. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vllama.config.schema import Access, Server

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
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
    }
)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a request."""

    address: Address | None
    """None: a program on this machine, over a unix socket."""
    hidden: bool = False
    """Behind a proxy that we were not told to trust: the address is the proxy's."""

    @property
    def here(self) -> bool:
        """On this machine, as far as can be known."""
        return not self.hidden and (self.address is None or self.address.is_loopback)

    def __str__(self) -> str:
        where = "a local socket" if self.address is None else str(self.address)
        return f"someone behind {where}" if self.hidden else where


@dataclass(frozen=True, slots=True)
class Reach:
    """The rules of the ``server`` section."""

    access: Access
    management: Access
    networks: tuple[Network, ...]
    proxies: tuple[Network, ...]
    keys_required: bool

    def peer(self, remote: str | None, forwarded: Sequence[str]) -> Peer:
        """``remote``: the connection's other end. ``forwarded``: addresses of X-Forwarded-For, the nearest last."""
        address = _address(remote or "")
        if not self._is_proxy(address):
            return Peer(address, hidden=bool(forwarded) and (address is None or address.is_loopback))
        for text in reversed(forwarded):
            address = _address(text.strip())
            if address is None:
                return Peer(None, hidden=True)
            if not self._is_proxy(address):
                break
        return Peer(address)

    def serves(self, peer: Peer) -> bool:
        """May it use models?"""
        return self._allows(self.access, peer)

    def lets_manage(self, peer: Peer) -> bool:
        """May it pull, push, create, copy and delete models without a key?"""
        return not peer.hidden and self._allows(self.management, peer)

    def _allows(self, access: Access, peer: Peer) -> bool:
        if access == "any" or peer.address is None or peer.address.is_loopback:
            return True
        if access == "loopback":
            return False
        return any(peer.address in network for network in (*_LOCAL, *self.networks))

    def _is_proxy(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.proxies)


def read_reach(server: Server) -> Reach:
    """The rules as configured; networks were checked by the schema."""
    return Reach(
        access=server.access,
        management=server.management,
        networks=tuple(map(ipaddress.ip_network, server.networks)),
        proxies=tuple(map(ipaddress.ip_network, server.trusted_proxies)),
        keys_required=server.keys == "required",
    )


def is_management(method: str, route: str) -> bool:
    """Whether a request changes what models there are; ``route`` is the pattern, not the path."""
    return (method, route) in _MANAGING


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
