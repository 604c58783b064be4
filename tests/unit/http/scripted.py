"""An engine that answers from a script, on a unix socket in the test's own loop."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
EMBED = "/v1/embeddings"
TOKENIZE = "/tokenize"


@dataclass
class Reply:
    """One answer: a status with a body, or parts of a stream; ``hold`` keeps the stream open after them."""

    status: int = 200
    parts: list[bytes] = field(default_factory=list)
    hold: bool = False
    close: bool = False
    """Break the connection after the parts."""


class ScriptedEngine:
    """``replies`` by path, the last one again and again; ``requests`` are the bodies that came."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply | Callable[[Any], Reply]]] = defaultdict(list)
        self.requests: list[tuple[str, Any]] = []
        self.heads: list[Mapping[str, str]] = []
        """The headers that came."""
        self.left = asyncio.Event()
        """Set when a client went away before its answer was complete."""
        self._runner: web.AppRunner | None = None

    async def start(self, socket: Path) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(socket)).start()

    async def stop(self) -> None:
        assert self._runner
        await self._runner.cleanup()

    def bodies(self, path: str) -> list[Any]:
        return [body for where, body in self.requests if where == path]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.requests.append((request.path, body))
        self.heads.append(request.headers)
        script = self.replies[request.path]
        reply = script.pop(0) if len(script) > 1 else script[0]
        if callable(reply):
            reply = reply(body)
        try:
            response = web.StreamResponse(status=reply.status, headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for part in reply.parts:
                await response.write(part)
            if reply.close:
                assert request.transport
                request.transport.abort()
            if reply.hold:
                await asyncio.Event().wait()
            await response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response


def error(status: int, message: str) -> Reply:
    """vLLM's error object."""
    return Reply(status, [orjson.dumps({"error": {"message": message, "type": "x", "param": None, "code": status}})])
