"""What is known about one request; the request itself carries it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from vllama.caller import Caller
from vllama.observe.meter import Meter


async def _no() -> bool:
    return False


@dataclass(slots=True)
class Visit:
    """Made by ``middleware`` before any handler runs."""

    request_id: str
    meter: Meter
    headers: dict[str, str] = field(default_factory=dict)
    """Headers that are sent with the answer, whatever it will be."""
    may_manage: Callable[[], Awaitable[bool]] = _no
    """Whether the client may change what models there are, and how long they stay loaded; set by ``permits``."""

    @property
    def caller(self) -> Caller:
        """Who sent the request."""
        return self.meter.caller


# aiohttp has typed keys since 3.14, and warns of names without a type since then
_KEY: Final[Any] = web.RequestKey("visit", Visit) if hasattr(web, "RequestKey") else "visit"


def begin_visit(request: web.Request, visit: Visit) -> None:
    """Let the request carry it."""
    request[_KEY] = visit


def visit_of(request: web.Request) -> Visit:
    """What this request carries."""
    visit: Visit = request[_KEY]
    return visit


def known_visit(request: web.BaseRequest) -> Visit | None:
    """As ``visit_of``; None for a request that aiohttp refuses before the middleware sees it."""
    return request.get(_KEY)
