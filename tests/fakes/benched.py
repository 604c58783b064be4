"""Servers to be measured: an OpenAI-API server and an Ollama, both small, quick and exact about what they count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass
class Benched:
    """One server; ``asked`` keeps the paths and bodies of its generations."""

    url: str = ""
    model: str = "mini"
    bits: str = "BF16"
    context: int = 4096
    words: int = 5
    """Tokens of an answer, unless fewer are asked for."""
    one_at_a_time: bool = False
    pause: float = 0.0
    """Seconds between two tokens."""
    failing: bool = False
    """Generations fail once it was looked at (calibrated)."""
    from_the_start: bool = False
    """They fail from the first one on."""
    unfinished: bool = False
    """Streams end without their last part."""
    broken: bool = False
    """Streams are cut off."""
    elsewhere: bool = False
    """It has no route that anybody looks for."""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    cached: set[str] = field(default_factory=set)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def prompt(self, body: dict[str, Any]) -> str:
        """All texts of a request."""
        return " ".join(
            [body.get("system", ""), body.get("prompt", ""), *(m["content"] for m in body.get("messages", []))]
        )

    async def tokens(self, count: int) -> AsyncIterator[str]:
        """The answer, token by token."""
        async with self.turn if self.one_at_a_time else _Free():
            for number in range(count):
                await asyncio.sleep(self.pause)
                yield f"{number} "


class _Free:
    async def __aenter__(self) -> None:
        """Anyone may."""

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""


@asynccontextmanager
async def serving_ollama(**how: Any) -> AsyncIterator[Benched]:
    """An Ollama with one model."""
    server = Benched(**how)

    async def generate(request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        server.asked.append((request.path, body))
        if body["model"].removesuffix(":latest") != server.model:
            return web.json_response({"error": f"model '{body['model']}' not found"}, status=404)
        if server.failing and (server.from_the_start or len(server.asked) > 2):
            return web.json_response({"error": "out of order"}, status=500)
        count = min(server.words, body["options"]["num_predict"])
        final = {"done": True, "prompt_eval_count": len(server.prompt(body).split()), "eval_count": count}
        lines = []
        response = web.StreamResponse()
        if body["stream"]:
            await response.prepare(request)
        async for text in server.tokens(count):
            lines.append(text)
            if body["stream"]:
                await response.write(orjson.dumps({"message": {"content": text}, "response": text}) + b"\n")
        if not body["stream"]:
            return web.json_response({"message": {"content": "".join(lines)}, **final})
        if server.broken and request.transport is not None:
            request.transport.close()
        if not server.unfinished:
            await response.write(orjson.dumps(final) + b"\n")
        return response

    def fixed(value: dict[str, Any]) -> Any:
        async def answer(_: web.Request) -> web.Response:
            return web.json_response(value)

        return answer

    name = f"{server.model}:latest"
    details = {"parameter_size": "1.7B", "quantization_level": server.bits}
    loaded = {"models": [{"name": name, "context_length": server.context}]}
    routes = [
        web.get("/api/version", fixed({"version": "0.33.0"})),
        web.get("/api/tags", fixed({"models": [{"name": name}]})),
        web.get("/api/ps", fixed(loaded)),
        web.post("/api/show", fixed({"details": details})),
        web.post("/api/chat", generate),
        web.post("/api/generate", generate),
    ]
    async with _up(server, [] if server.elsewhere else routes):
        yield server


@asynccontextmanager
async def serving_openai(**how: Any) -> AsyncIterator[Benched]:
    """A server of OpenAI's API with one model, that remembers the system prompts it saw."""
    server = Benched(**how)

    async def generate(request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        server.asked.append((request.path, body))
        system = next((m["content"] for m in body.get("messages", []) if m["role"] == "system"), "")
        hit = len(system.split()) if system and system in server.cached else 0
        server.cached.add(system)
        await asyncio.sleep(0.0 if hit else 0.02)
        count = body["max_tokens"] if body.get("ignore_eos") else min(server.words, body["max_tokens"])
        usage = {
            "prompt_tokens": len(server.prompt(body).split()),
            "completion_tokens": count,
            "prompt_tokens_details": {"cached_tokens": hit},
        }
        texts = [text async for text in server.tokens(count)]
        if not body["stream"]:
            return web.json_response({"choices": [{"message": {"content": "".join(texts)}}], "usage": usage})
        response = web.StreamResponse()
        await response.prepare(request)
        chunks = [{"choices": [{"delta": {"content": text}, "text": text}]} for text in texts]
        for chunk in [*chunks, {"choices": [], "usage": usage}]:
            await response.write(b"data: " + orjson.dumps(chunk) + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": server.model, "owned_by": "vllm", "max_model_len": server.context}]})

    routes = [
        web.get("/v1/models", models),
        web.post("/v1/chat/completions", generate),
        web.post("/v1/completions", generate),
    ]
    async with _up(server, routes):
        yield server


@asynccontextmanager
async def _up(server: Benched, routes: list[web.RouteDef]) -> AsyncIterator[None]:
    app = web.Application(client_max_size=1 << 26)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


@dataclass
class Closing:
    """In front of a server: passes bytes on, and closes connections that clients would keep."""

    url: str = ""
    closed: int = 0
    """Connections closed when a request had come."""


@asynccontextmanager
async def closing_after(url: str, requests: int) -> AsyncIterator[Closing]:
    """Each connection is closed when the request after so many has come, without a byte of an answer."""
    front = Closing()
    upstream = url.removeprefix("http://").split(":")

    async def back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(*upstream)
        answers = asyncio.create_task(back(theirs, writer))
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            for _ in range(requests):
                head = await reader.readuntil(b"\r\n\r\n")
                size = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
                ours.write(head + await reader.readexactly(int(size or 0)))
            await reader.readuntil(b"\r\n\r\n")
            front.closed += 1
        writer.close()
        ours.close()
        await answers

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    front.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield front
    finally:
        server.close()
