"""Whatever a client of OpenAI's or Anthropic's routes sends: an answer or a clear refusal in the route's own shape."""

from __future__ import annotations

import json
import random

import pytest

from tests.unit.http.scripted import EMBED, TOKENIZE, Reply

PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
)
KEYS = (
    *("messages", "role", "content", "type", "text", "image_url", "url", "tool_calls", "function", "arguments", "id"),
    *("tool_call_id", "tools", "tool_choice", "parameters", "input_schema", "name", "n", "stop", "stream", "seed"),
    *("stream_options", "include_usage", "response_format", "json_schema", "schema", "reasoning", "effort", "logprobs"),
    *("top_logprobs", "max_tokens", "max_completion_tokens", "temperature", "top_p", "prompt", "suffix", "input"),
    *("encoding_format", "dimensions", "instructions", "call_id", "output", "summary", "encrypted_content", "format"),
    *("system", "thinking", "output_config", "source", "data", "tool_use_id", "stop_sequences", "logit_bias", "top_k"),
    *("parallel_tool_calls", "metadata", "min_tokens", "reasoning_content", "max_output_tokens", "truncation"),
)
LEAVES = (
    *(None, True, False, 0, 1, -1, 3.5, 1e308, 2**63, 2**64, "", "x", "user", "assistant", "tool", "system", "none"),
    *("auto", "required", "enabled", "text", "image", "tool_use", "tool_result", "input_text", "function_call", [], {}),
    *("message", "function", "json_schema", "data:image/png;base64,AAAA", "{}", "\ud7ff\u2028", "a" * 100, "high"),
)


def value(chance: random.Random, depth: int = 0):
    kind = chance.random()
    if depth > 4 or kind < 0.45:
        return chance.choice(LEAVES)
    if kind < 0.7:
        return [value(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {chance.choice(KEYS): value(chance, depth + 1) for _ in range(chance.randrange(5))}


def body(chance: random.Random) -> bytes:
    asked = {chance.choice(KEYS): value(chance) for _ in range(chance.randrange(5))}
    if chance.random() < 0.8:
        asked["model"] = chance.choice(("tinychat", "minilm", "plainchat"))
    if chance.random() < 0.6:
        turn = {"role": "user", "content": chance.choice(("x", [{"type": "text", "text": "x"}]))}
        asked |= {"messages": [turn | {chance.choice(KEYS): value(chance)}], "max_tokens": 9}
    data = bytearray(json.dumps(asked).encode())
    if chance.random() < 0.1 and data:
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("path", PATHS)
async def test_is_answered_or_refused_in_the_routes_own_shape(server, path, caplog):
    server.engine.replies[EMBED] = [Reply(parts=[b'{"data":[],"usage":{"prompt_tokens":1}}'])]
    server.engine.replies[TOKENIZE] = [Reply(parts=[b'{"tokens":[1],"count":1}'])]
    chance = random.Random(path)
    answered = 0
    for _ in range(200):
        asked = body(chance)
        status, told = await server.post(path, asked)
        assert status in {200, 400, 404, 500}, asked
        answered += status == 200
        if status != 200:
            assert told["error"]["message"], asked
            assert ("request_id" in told) == path.startswith("/v1/messages"), asked
        if status == 500:
            assert told["error"]["message"].startswith("invalid format: "), (asked, told)
    assert answered, "nothing of this noise was understood: it tests too little"
    assert "Traceback" not in caplog.text
