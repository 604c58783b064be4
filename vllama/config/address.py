"""Where a service listens or is found: ``OLLAMA_HOST`` in all its forms, as Ollama's envconfig reads it. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 11434
_SCHEME_PORTS: Final = {"http": 80, "https": 443}
_NOT_IN_HOSTS: Final = re.compile(r"[\s/@\[\]\x00]")


@dataclass(frozen=True, slots=True)
class Address:
    """One HTTP service."""

    scheme: str = "http"
    host: str = DEFAULT_HOST
    """Empty: every interface of this machine, IPv4 and IPv6."""
    port: int = DEFAULT_PORT
    path: str = ""
    """Prefix of every request's path, without a slash at its end."""

    @property
    def authority(self) -> str:
        """``host:port`` as it stands in a URL; IPv6 hosts in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def is_local(self) -> bool:
        """Whether this machine itself is meant, as far as the spelling shows."""
        address = _ip(self.host)
        if address is None:
            return self.host.lower() in {"", "localhost"}
        return address.is_loopback or address.is_unspecified

    @property
    def reachable(self) -> Address:
        """The address to connect to: a service bound to all interfaces is reached over loopback."""
        address, host = _ip(self.host), self.host or DEFAULT_HOST
        if address is not None and address.is_unspecified:
            host = DEFAULT_HOST if address.version == 4 else "::1"
        return replace(self, host=host)


def is_host(text: str) -> bool:
    """Whether ``text`` is an IP address or may be a host's name; empty text means every interface."""
    if ":" in text or (text.count(".") >= 3 and text.replace(".", "").isdigit()):
        return _ip(text) is not None
    return _NOT_IN_HOSTS.search(text) is None


def check_address(text: str) -> None:
    """Raise ValueError, with what is wrong, for an address of which ``read_address`` would have to make up a part."""
    text = text.strip(" \t\r\n\"'")
    scheme, found, rest = text.partition("://")
    if found and scheme.lower() not in _SCHEME_PORTS:
        raise ValueError(f"{scheme!r} is neither http nor https")
    host, port = _split((rest if found else text).partition("/")[0])
    if not is_host(host):
        raise ValueError(f"{host!r} is neither an address nor a host name")
    if port and not (port.isdecimal() and port.isascii() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"{port!r} is not a port")


def read_address(text: str) -> Address:
    """Read ``host``, ``host:port``, ``:port``, ``[v6]:port`` or ``scheme://host[:port][/path]``.

    Without a scheme the port defaults to 11434, with one to the scheme's own; a bad port falls back to the default.
    Empty text is the default address; a port without a host means every interface, as for Ollama.
    """
    text = text.strip(" \t\r\n\"'")
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "http", text
    scheme = scheme.lower()
    default_port = _SCHEME_PORTS.get(scheme, DEFAULT_PORT) if found else DEFAULT_PORT
    authority, slash, path = rest.partition("/")
    host, port = _split(authority)
    return Address(
        scheme if scheme in _SCHEME_PORTS else "http",
        host if host or ":" in authority else DEFAULT_HOST,
        int(port) if port.isdecimal() and port.isascii() and int(port) <= 65535 else default_port,
        urlsplit(f"//x/{path}").path.rstrip("/") if slash else "",
    )


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _split(authority: str) -> tuple[str, str]:
    """Host and port text, either may be empty."""
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        return host, rest.removeprefix(":")
    if authority.count(":") > 1:  # a bare IPv6 address
        return authority, ""
    host, _, port = authority.partition(":")
    return host, port
