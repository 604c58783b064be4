"""Whatever a client sends: an answer or a clear refusal, and the next client is served."""

from __future__ import annotations

import json
import random

import pytest

from tests.unit.http.scripted import EMBED, TOKENIZE, Reply

PATHS = (
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/api/show",
    "/api/pull",
    "/api/push",
    "/api/create",
    "/api/copy",
)
KEYS = (
    *("model", "messages", "role", "content", "images", "tools", "function", "parameters", "properties", "tool_calls"),
    *(
        "arguments",
        "options",
        "temperature",
        "stop",
        "num_predict",
        "format",
        "think",
        "keep_alive",
        "stream",
        "prompt",
    ),
    *("suffix", "context", "raw", "template", "system", "logprobs", "top_logprobs", "input", "dimensions", "truncate"),
    *("name", "source", "destination", "from", "files", "verbose", "insecure", "shift", "type", "$ref", "enum"),
)
LEAVES = (
    *(None, True, False, 0, 1, -1, 3.5, 1e308, 2**63, 2**64, "", "x", "tinychat", "minilm:latest", "user", "json"),
    *("5m", "-1", "\ud7ff\u2028", "a" * 100, [], {}, "AAAA", "low", "sha256:" + "0" * 64),
)
ALLOWED_500 = ("option ", "invalid format: ", "pull model manifest: ", "this server pushes to no registry")


def value(chance: random.Random, depth: int = 0):
    kind = chance.random()
    if depth > 4 or kind < 0.5:
        return chance.choice(LEAVES)
    if kind < 0.65:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(KEYS): value(chance, depth + 1) for _ in range(chance.randrange(5))}


def body(chance: random.Random) -> bytes:
    asked = {chance.choice(KEYS): value(chance) for _ in range(chance.randrange(6))}
    if chance.random() < 0.7:
        asked["model"] = chance.choice(("tinychat", "minilm", "plainchat"))
    if chance.random() < 0.4:
        asked["messages"] = [{"role": "user", "content": "x", chance.choice(KEYS): value(chance)}]
    data = bytearray(json.dumps(asked).encode())
    if chance.random() < 0.1 and data:
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("path", PATHS)
async def test_is_answered_or_refused_in_ollamas_words(server, path, caplog):
    server.engine.replies[EMBED] = [Reply(parts=[b'{"data":[],"usage":{"prompt_tokens":1}}'])]
    server.engine.replies[TOKENIZE] = [Reply(parts=[b'{"tokens":[1]}'])]
    server.engine.replies["/detokenize"] = [Reply(parts=[b'{"prompt":"x"}'])]
    chance = random.Random(path)
    for _ in range(150):
        asked = body(chance)
        status, told = await server.post(path, asked)
        assert status in {200, 400, 403, 404, 500, 501}, asked
        if status == 500:
            assert told["error"].startswith(ALLOWED_500), (asked, told)
        elif status >= 400:
            assert isinstance(told["error"], str), asked
            assert told["error"], asked
    assert "Traceback" not in caplog.text
