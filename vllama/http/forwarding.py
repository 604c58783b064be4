"""Reads from a request's headers which proxies it came through. Pure.

``X-Forwarded-For`` counts first, then ``Forwarded`` (RFC 7239), then ``X-Real-IP``. A client can send any of them
through a proxy that writes only one of the others: where the first two disagree, nothing is believed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST: Final = 100
"""Characters of an address with everything around it. The longest real one has about 60."""
_LONGEST_TRAIL: Final = 2000
"""Characters of all addresses: no way is longer, and each takes a moment to be read."""
_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\](?::\w*)?")
_WITH_PORT: Final = re.compile(r"(\d+\.\d+\.\d+\.\d+):\w*")
_PAIR: Final = re.compile(r'\s*([^\s=;,"]+)=(?:"((?:[^"\\]|\\.)*+)"|([^\s;,"]*))\s*')
_ONLY_PROXIES: Final = (
    *("Via", "CDN-Loop", "X-Forwarded", "X-Original-Forwarded-For", "X-Original-Host", "X-Original-URL", "X-Scheme"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-By"),
    *("X-Forwarded-Scheme", "X-Forwarded-Protocol", "X-Forwarded-Ssl", "X-Forwarded-Prefix", "X-Forwarded-Uri"),
    *("X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP", "CF-Ray", "Fastly-Client-IP"),
    *("Fly-Client-IP", "X-Appengine-User-IP", "X-Azure-ClientIP", "X-Envoy-External-Address"),
)
"""Headers that no client writes for itself. They do not say who calls, in a way that all proxies agree on."""


@dataclass(frozen=True, slots=True)
class Trail:
    """The proxies that a request came through."""

    addresses: tuple[IpAddress | None, ...] = ()
    """Who called the first proxy, then who called the second, and so on. None: that one can't be read."""
    proxied: bool = False
    """A header is there that only proxies write."""


DIRECT: Final = Trail()


def read_trail(values: Callable[[str], Sequence[str]]) -> Trail:
    """The trail in a request's headers; ``values`` gives all the values of a header's name."""
    lines, standard = ",".join(values("X-Forwarded-For")), ",".join(values("Forwarded"))
    if len(lines) + len(standard) > _LONGEST_TRAIL:
        return Trail((None,), proxied=True)
    listed = [read_address(text) for text in lines.split(",")] if values("X-Forwarded-For") else []
    forwarded = _forwarded(standard)
    if listed and forwarded and listed != forwarded:
        return Trail((None,), proxied=True)
    if found := listed or forwarded:
        return Trail(tuple(found), proxied=True)
    if real := values("X-Real-IP"):
        return Trail((read_address(real[0]) if len(real) == 1 else None,), proxied=True)
    return Trail(proxied=any(map(values, _ONLY_PROXIES)))


def read_address(text: str) -> IpAddress | None:
    """An address as proxies write it: alone, with a port, in brackets; None for everything else."""
    if len(text) > _LONGEST:
        return None
    text = text.strip()
    if match := _BRACKETS.fullmatch(text) or _WITH_PORT.fullmatch(text):
        text = match[1]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    found = mapped or found
    return None if found.is_unspecified else found


def _forwarded(text: str) -> list[IpAddress | None]:
    """The ``for`` of each element; None for an element without one, and for all that is behind a mistake."""
    found: list[IpAddress | None] = []
    at, element = 0, dict[str, str]()
    while text and at <= len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            return [*found, None]
        quoted = re.sub(r"\\(.)", r"\1", pair[2]) if pair[2] is not None else pair[3]
        element.setdefault(pair[1].lower(), quoted)
        at = pair.end()
        if at == len(text) or text[at] == ",":
            found.append(read_address(element.get("for", "")))
            element = {}
        elif text[at] != ";":
            return [*found, None]
        at += 1
        if at == len(text):  # a comma or a semicolon with nothing behind it
            return [*found, None]
    return found
