"""``GET /vllama/events``: what changes, as server-sent events.

``hello`` with the version; ``status`` as ``/vllama/status`` at once, then when something changed, at most once a second
and at least each five seconds; ``history`` with each new point; ``request`` with each request that ended, as far as the
client may see it. A client that reads too slowly loses the oldest. The stream ends when the service stops or reloads
its configuration; who listens connects again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import ExitStack
from typing import Any, Final

from aiohttp import web

from vllama import __version__
from vllama.http.front import Front, front_of
from vllama.http.own import history
from vllama.http.own.requests import is_own, over
from vllama.http.own.status import read_status
from vllama.http.visit import Visit, visit_of
from vllama.jsontext import encode
from vllama.observe.history import Point
from vllama.observe.news import News, Reloading, Stopping
from vllama.observe.spent import Spent

routes = web.RouteTableDef()
_SOONEST: Final = 1.0
"""Seconds between two statuses."""
_LATEST: Final = 5.0
_HELD: Final = 256
"""Events that wait for a slow client."""
_HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}


@routes.get("/vllama/events")
async def events(request: web.Request) -> web.StreamResponse:
    """Follow the service until it stops or reloads, or the client leaves. Raises Busy."""
    front, visit = front_of(request), visit_of(request)
    with ExitStack() as stack:
        stack.enter_context(front.lookout.listening())
        listener = _Listener(visit, everyone=await visit.may_manage())
        stack.enter_context(front.lookout.feed.subscribed(listener.news))
        stack.callback(front.lookout.history.subscribe(listener.point))
        stack.callback(front.books.requests.subscribe(listener.request))
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n" + _event("hello", {"version": __version__}))
        await _follow(front, visit, listener, response)
        await response.write_eof()
        return response


async def _follow(front: Front, visit: Visit, listener: _Listener, response: web.StreamResponse) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        now = loop.time()
        if now >= due:
            listener.changed = False
            listener.put("status", await read_status(front, visit))
            last, due = now, now + _LATEST
        if listener.events:
            waiting = b"".join(listener.events)
            listener.events.clear()
            await response.write(waiting)
        if listener.over:
            return
        listener.woken.clear()
        if not listener.events:
            busy = listener.changed or any(view.leases or view.waiting for view in front.engines.snapshot())
            due = min(due, last + _SOONEST) if busy else due
            try:
                async with asyncio.timeout_at(due):
                    await listener.woken.wait()
            except TimeoutError:
                pass


class _Listener:
    """What waits to be written to one client."""

    def __init__(self, visit: Visit, *, everyone: bool) -> None:
        """``everyone``: it may see the requests of all callers."""
        self.events: deque[bytes] = deque(maxlen=_HELD)
        self.woken = asyncio.Event()
        self.changed = False
        """The status is another one."""
        self.over = False
        self._visit = visit
        self._everyone = everyone

    def put(self, name: str, value: Any) -> None:
        """Let it be written."""
        self.events.append(_event(name, value))
        self.woken.set()

    def news(self, news: News) -> None:
        """Something of the status has changed."""
        self.changed = True
        self.over = self.over or isinstance(news, Stopping | Reloading)
        self.woken.set()

    def point(self, point: Point) -> None:
        """The history has grown."""
        self.put("history", history.shown(point))

    def request(self, spent: Spent) -> None:
        """A request has ended."""
        if self._everyone or is_own(self._visit, spent.caller):
            self.put("request", over(spent))


def _event(name: str, value: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(value))
