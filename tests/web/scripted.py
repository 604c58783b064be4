"""A service that serves the real page, and data by script."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from vllama import __version__
from vllama.http.listener import bind
from vllama.http.markdown import to_html
from vllama.http.own.page import routes as page_routes
from vllama.http.page import page

_EVENTS = "/vllama/events"


class Scripted:
    """``answers``: by method and path, ``(status, value)`` or a value; a path that isn't there is 404.

    ``key``: data needs it, unless it is "". ``asked``: method, path with its query, and key of each request for data.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.version = __version__
        self.key = ""
        self.status: dict[str, Any] | None = None
        """Sent to whoever listens to the events; None: there is no such route."""
        self.asked: list[tuple[str, str, str]] = []
        self._listeners: set[asyncio.Queue[tuple[str, Any]]] = set()
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it is; the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen."""
        self._wait(self._start())

    def interrupt(self) -> None:
        """Leave, as a service that restarts does: connections are cut."""
        self._wait(self._stop())

    def stop(self) -> None:
        """Leave for good."""
        self.interrupt()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def emit(self, event: str, value: Any) -> None:
        """Send it to all who listen."""
        if event == "status":
            self.status = value
        self._wait(self._emit(event, value))

    def paths(self, method: str = "GET") -> list[str]:
        """What data was asked for, in order."""
        return [path for one, path, _ in self.asked if one == method]

    @property
    def listeners(self) -> int:
        """How many pages listen to the events."""
        return len(self._listeners)

    @staticmethod
    def until(holds: Callable[[], bool], within: float = 10.0) -> None:
        """Wait until this is so."""
        deadline = time.monotonic() + within
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _emit(self, event: str, value: Any) -> None:
        for queue in self._listeners:
            queue.put_nowait((event, value))

    async def _start(self) -> None:
        app = web.Application()
        app.add_routes([web.get("/", self._root), *page_routes, web.route("*", "/{path:.*}", self._data)])
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        (socket, *_) = bind("127.0.0.1", self._port)
        self._port = socket.getsockname()[1]
        await web.SockSite(self._runner, socket).start()

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _root(self, request: web.Request) -> web.Response:
        return page(request, "vllama/web/")

    async def _data(self, request: web.Request) -> web.StreamResponse:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.asked.append((request.method, request.path_qs, key))
        if self.key and key != self.key:
            return web.json_response({"error": "an API key is needed"}, status=401)
        if request.path == _EVENTS and self.status is not None:
            return await self._events(request)
        if request.path == "/vllama/markdown":
            return web.Response(text=to_html(await request.text()), content_type="text/html")
        found = self.answers.get(f"{request.method} {request.path}")
        if found is None:
            return web.Response(status=404, text="404 page not found")
        status, value = found if isinstance(found, tuple) else (200, found)
        return web.json_response(value, status=status)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        queue.put_nowait(("hello", {"version": self.version}))
        queue.put_nowait(("status", self.status))
        self._listeners.add(queue)
        try:
            while True:
                event, value = await queue.get()
                await response.write(f"event: {event}\ndata: {json.dumps(value)}\n\n".encode())
        finally:
            self._listeners.discard(queue)
