"""Decides which web pages and which Host names may use the service."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from vllama.errors import ConfigError

_DEFAULT_HOSTS: Final = ("localhost", "127.0.0.1", "0.0.0.0")
_DEFAULT_SCHEMES: Final = ("app://", "file://", "tauri://", "vscode-webview://", "vscode-file://")
_LOCAL_ENDINGS: Final = (".localhost", ".local", ".internal")

PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
    "Access-Control-Allow-Headers": (
        "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,"
        "X-Stainless-Async,X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,"
        "X-Stainless-Os,X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,"
        "X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout,X-Api-Key,Anthropic-Version,"
        "Anthropic-Beta,Anthropic-Dangerous-Direct-Browser-Access"
    ),
    "Access-Control-Max-Age": "43200",
}
_PREFLIGHT_VARY: Final = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins whose pages may call us."""

    exact: frozenset[str]
    around: tuple[tuple[str, str], ...]
    """What an allowed origin begins and ends with (an entry's two sides of its ``*``)."""
    everyone: bool

    def allow(self, origin: str) -> bool:
        """Whether pages of this origin may use the service."""
        if self.everyone or origin in self.exact:
            return True
        return any(
            len(origin) >= len(before) + len(after) and origin.startswith(before) and origin.endswith(after)
            for before, after in self.around
        )

    def headers(self, origin: str, *, preflight: bool) -> dict[str, str]:
        """The CORS headers of an allowed answer."""
        out = {"Access-Control-Allow-Origin": "*" if self.everyone else origin}
        if not self.everyone:
            out["Vary"] = _PREFLIGHT_VARY if preflight else "Origin"
        return out | PREFLIGHT if preflight else out


def read_origins(configured: Sequence[str]) -> Origins:
    """The configured entries, then Ollama's defaults; raises ConfigError for invalid entries."""
    problems = [f"server.origins: {problem}" for entry in configured if (problem := _problem(entry))]
    if problems:
        raise ConfigError("the configuration has errors", problems=tuple(problems))
    exact: set[str] = set()
    around = [(scheme, "") for scheme in _DEFAULT_SCHEMES]
    for host in _DEFAULT_HOSTS:
        for scheme in ("http", "https"):
            exact.add(f"{scheme}://{host}")
            around.append((f"{scheme}://{host}:", ""))
    for entry in configured:
        before, star, after = entry.partition("*")
        if star:
            around.append((before, after))
        else:
            exact.add(entry)
    return Origins(frozenset(exact), tuple(around), everyone="*" in configured)


def _problem(entry: str) -> str:
    if entry == "*":
        return ""
    if entry.count("*") > 1:
        return f"{entry!r} has more than one *"
    return "" if "://" in entry else f"{entry!r} has no scheme: write http://{entry}"


def same_origin(origin: str, host: str) -> bool:
    """Whether a page comes from our own address."""
    return origin in {f"http://{host}", f"https://{host}"}


@dataclass(frozen=True, slots=True)
class HostCheck:
    """A guard against DNS rebinding: a page whose name was made to mean our address still sends that name as Host."""

    own_names: frozenset[str]
    own_addresses: frozenset[str]
    on_loopback: bool = False
    """We listen on a loopback address."""

    def allow(self, host: str) -> bool:
        """Whether this ``Host`` means this machine."""
        name = _without_port(host).lower()
        if name in self.own_names:
            return True
        if address := _address(name):
            own = address.is_loopback or address.is_unspecified or _is_private(address)
            return own or str(address) in self.own_addresses
        return name in {"", "localhost"} or name.endswith(_LOCAL_ENDINGS)

    def is_name(self, host: str) -> bool:
        """Names, other than addresses, get an answer to a bare OPTIONS; as Ollama, on a loopback address only."""
        return self.on_loopback and _address(_without_port(host).lower()) is None


def read_host_check(bound_host: str, names: Sequence[str] = ()) -> HostCheck:
    """The check for a listener on ``bound_host``; asks the machine for its name and addresses.

    ``names``: what it is called besides, as configured.
    """
    address = _address(bound_host.strip("[]"))
    addresses = frozenset(
        entry.address.partition("%")[0]
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in {socket.AF_INET, socket.AF_INET6}
    )
    # a link-local address is no answer to the question who may call us by it
    usable = frozenset(a for a in addresses if not ipaddress.ip_address(a).is_link_local)
    full = socket.gethostname().lower()
    return HostCheck(
        own_names=frozenset({full, full.partition(".")[0], *names}),
        own_addresses=usable,
        on_loopback=address.is_loopback if address else bound_host == "localhost",
    )


def _without_port(host: str) -> str:
    """As Go splits them: only a port takes the brackets off, and a port need be no number."""
    name, colon, _ = host.rpartition(":")
    if colon and name.startswith("[") and name.endswith("]"):
        return name[1:-1]
    return name if colon and ":" not in name else host


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


_PRIVATE: Final = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(address in network for network in _PRIVATE)
