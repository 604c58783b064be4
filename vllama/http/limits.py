"""The limits of connections, by the ``server`` section: how many a client may have, and how long they may stall."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from typing import Final

from vllama.config.schema import Server
from vllama.http.peers import Reach, read_reach

_SPARE: Final = 128
"""Descriptors that are kept for engines, files and logs."""
_ENOUGH: Final = 1 << 20
"""Where the hard limit is larger, some programs that inherit it walk through all numbers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of every connection that is made while they are in effect."""

    stall: float = 60.0
    """Seconds in which a client must take, or send, at least one byte that is due."""
    head: float = 30.0
    """Seconds for a request's head."""
    idle: float = 300.0
    """Seconds without a request after which a connection is closed."""
    least: int = 1024
    """Bytes a second that a client must take or send when they are due."""
    each: int = 2048
    """Connections of one address."""
    all: int = 1 << 30
    """Connections altogether."""
    reach: Reach = field(default_factory=lambda: read_reach(Server()))
    """Knows the proxies that may have more."""

    @property
    def look_every(self) -> float:
        """Seconds between two looks at all connections; the limits hold up to this."""
        return min(2.0, max(0.02, min(self.stall, self.head, self.idle) / 10))


def limits_of(server: Server) -> Limits:
    """The configured limits; never more connections than this process has descriptors for."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = max(1, descriptors - _SPARE)
    return Limits(
        stall=server.stall_timeout,
        head=server.head_timeout,
        idle=server.idle_timeout,
        least=server.min_rate,
        each=max(1, min(server.client_connections, most // 2)),
        all=most,
        reach=read_reach(server),
    )


def raise_descriptor_limit() -> int:
    """Give this process all the descriptors that it may have; says how many that are.

    The soft limit is 1024 nearly everywhere, for programs that use ``select``.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
