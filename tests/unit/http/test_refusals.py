"""What an engine says when it refuses: on no route do its words reach a client."""

from __future__ import annotations

import orjson
import pytest

from tests.unit.http.scripted import CHAT, EMBED, TEXT, TOKENIZE, error

THEIRS = "1 validation error:\n  {'type': 'literal_error', 'loc': 'body.tools.0.type', 'input': 'a secret'}"
HELLO = {"messages": [{"role": "user", "content": "Hi"}]}
ROUTES = [
    ("/api/chat", {"model": "tinychat", **HELLO}),
    ("/api/chat", {"model": "tinychat", "stream": False, **HELLO}),
    ("/api/chat", {"model": "tinychat", "_debug_render_only": True, **HELLO}),
    ("/api/generate", {"model": "tinychat", "prompt": "Hi"}),
    ("/api/generate", {"model": "tinychat", "prompt": "Hi", "raw": True}),
    ("/api/generate", {"model": "tinychat", "prompt": "Hi", "context": [1]}),
    ("/api/embed", {"model": "minilm", "input": "Hi"}),
    ("/api/embeddings", {"model": "minilm", "prompt": "Hi"}),
    ("/v1/chat/completions", {"model": "tinychat", **HELLO}),
    ("/v1/chat/completions", {"model": "tinychat", "n": 2, **HELLO}),
    ("/v1/completions", {"model": "tinychat", "prompt": ["Hi", "Ho"]}),
    ("/v1/embeddings", {"model": "minilm", "input": [1, 2]}),
    ("/v1/responses", {"model": "tinychat", "input": "Hi"}),
    ("/v1/messages", {"model": "tinychat", "max_tokens": 5, **HELLO}),
    ("/v1/messages/count_tokens", {"model": "tinychat", **HELLO}),
]


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
@pytest.mark.parametrize(("path", "asked"), ROUTES)
async def test_no_words_of_an_engine_reach_a_client(server, path, asked, status):
    for where in (CHAT, TEXT, EMBED, TOKENIZE):
        server.engine.replies[where] = [error(status, THEIRS)]
    got, reported = await server.post(path, asked)
    assert got >= 400
    text = orjson.dumps(reported).decode()
    assert not any(words in text for words in ("validation", "literal_error", "a secret", "loc"))
