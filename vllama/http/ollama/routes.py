"""The native routes. HEAD exists only where Ollama has it."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from vllama.http.ollama import blobs, chat, creating, embed, generate, listing, managing, pulling, status


def _get(path: str, handler: Handler, *, head: bool = False) -> list[web.RouteDef]:
    routes = [web.get(path, handler, allow_head=False)]
    return [web.head(path, handler), *routes] if head else routes


ROUTES: list[web.RouteDef] = [
    *_get("/", status.root, head=True),
    *_get("/api/version", status.version, head=True),
    *_get("/api/status", status.status),
    *_get("/api/tags", listing.tags, head=True),
    *_get("/api/ps", listing.ps),
    web.post("/api/show", listing.show),
    web.post("/api/generate", generate.generate),
    web.post("/api/chat", chat.chat),
    web.post("/api/embed", embed.embed),
    web.post("/api/embeddings", embed.embeddings),
    web.post("/api/pull", pulling.pull),
    web.post("/api/push", pulling.push),
    web.post("/api/create", creating.create),
    web.post("/api/copy", managing.copy),
    web.delete("/api/delete", managing.delete),
    web.head("/api/blobs/{digest}", blobs.head),
    web.post("/api/blobs/{digest}", blobs.upload),
    web.post("/api/me", status.me),
    web.post("/api/signout", status.signout),
    web.delete("/api/user/keys/{key}", status.signout),
    *_get("/api/experimental/model-recommendations", status.recommendations),
    web.post("/api/experimental/web_search", status.web_search),
    web.post("/api/experimental/web_fetch", status.web_fetch),
]
