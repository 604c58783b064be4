"""What a valid configuration opens to strangers. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vllama.config.schema import Server

_WIDE: Final = 8
"""Bits of a network prefix below which a network is too large for a group of proxies."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """One thing that an administrator should know."""

    key: str
    """The key that opens it: ``server.access``."""
    text: str
    hint: str


def exposures(server: Server) -> Iterator[Exposure]:
    """All of them. A service that only this machine can reach has none, unless it seems to be behind a proxy."""
    here = only_here(server.host) and not server.trusted_proxies
    if here and server.keys != "required":
        return
    if server.keys == "optional" and server.access == "any" and server.management == "any":
        yield Exposure(
            "server.management",
            "anybody may pull and delete models here (access and management are any, without keys)",
            "Set server.management to loopback or lan, or server.keys to required.",
        )
    elif server.keys == "optional" and server.access == "any":
        yield Exposure(
            "server.access",
            "anybody may use the models here (access is any, without keys)",
            "Set server.keys to required, or server.access to lan and server.networks to the networks that you mean.",
        )
    for text in server.trusted_proxies:
        network = ipaddress.ip_network(text)
        if network.prefixlen < _WIDE:
            yield Exposure(
                "server.trusted_proxies",
                f"{text} in trusted_proxies lets nearly every machine claim any client address",
                "List the addresses of the proxies themselves.",
            )
    if server.keys == "required" and only_here(server.host):
        yield Exposure(
            "server.keys",
            "keys: required asks no program on this machine for a key, and a proxy that reports no addresses is one",
            "Behind a proxy on this machine set server.keys to everyone (docs/proxy.md).",
        )


def only_here(host: str) -> bool:
    """Whether ``server.host`` is an address that only this machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
