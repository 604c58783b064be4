"""Whatever a client sends: an answer or a clear refusal, and the next client is served."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.http.bodies import as_bytes, json_values, spoilt
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
ALLOWED_500 = (
    "option ",
    "invalid format: ",
    "pull model manifest: ",
    "this server pushes to no registry",
    "license: expected ",  # a licence, which Ollama reads as late
    "unsupported quantization type ",
    "model '",  # to be pushed, but not there
    "there is no such directory\n",  # the models of this test have no files, which a verbose show reads
)


VALUES = json_values(KEYS, LEAVES)
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": "string", "description": "d", "enum": ["x"], "items": {"type": "string"}}},
        },
    },
}
CALL = {"id": "c", "function": {"index": 0, "name": "f", "arguments": {"a": "x"}}}
TURNS = [
    {"role": "system", "content": "x"},
    {"role": "user", "content": "x", "images": []},
    {"role": "assistant", "content": "", "thinking": "x", "tool_calls": [CALL]},
    {"role": "tool", "content": "x", "tool_name": "f", "tool_call_id": "c"},
]
OPTIONS = {"temperature": 0, "num_predict": 5, "stop": ["x"], "seed": 1, "num_ctx": 9, "use_mmap": True, "top_k": 1}
COMMON = {
    "model": "tinychat",
    "stream": False,
    "options": OPTIONS,
    "keep_alive": "5m",
    "think": "low",
    "format": {"type": "object"},
    "logprobs": True,
    "top_logprobs": 1,
    "truncate": True,
    "shift": True,
}
MODEL = {"model": "tinychat", "stream": False}
VALID = {
    "/api/chat": [{**COMMON, "messages": TURNS, "tools": [TOOL]}, {"model": "tinychat", "messages": TURNS[1:2]}],
    "/api/generate": [
        {**COMMON, "prompt": "x", "system": "x", "context": [1]},
        {"model": "tinychat", "prompt": "x", "raw": True, "images": ["AAAA"]},
        {"model": "tinychat", "prompt": "x", "suffix": "y", "template": "{{ .Prompt }}"},
    ],
    "/api/embed": [{"model": "minilm", "input": ["x"], "truncate": True, "dimensions": 2, "options": OPTIONS}],
    "/api/embeddings": [{"model": "minilm", "prompt": "x", "options": OPTIONS, "keep_alive": 5}],
    "/api/show": [{"model": "tinychat", "verbose": False, "system": "x", "options": OPTIONS}],
    "/api/pull": [{**MODEL, "insecure": True}],
    "/api/push": [{**MODEL, "insecure": True}],
    "/api/create": [
        {**MODEL, "from": "tinychat", "parameters": OPTIONS, "messages": TURNS[:2], "license": ["x"], "info": {}},
        {**MODEL, "files": {"x": "sha256:" + "0" * 64}, "adapters": {"y": "sha256:" + "0" * 64}, "template": "x"},
    ],
    "/api/copy": [{"source": "tinychat", "destination": "x"}],
}


def answer(server) -> None:
    server.engine.replies[EMBED] = [Reply(parts=[b'{"data":[],"usage":{"prompt_tokens":1}}'])]
    server.engine.replies[TOKENIZE] = [Reply(parts=[b'{"tokens":[1]}'])]
    server.engine.replies["/detokenize"] = [Reply(parts=[b'{"prompt":"x"}'])]


async def hold(server, path: str, asked: object) -> None:
    status, reported = await server.post(path, asked)
    assert status in {200, 400, 403, 404, 500, 501}, asked
    if status == 500:
        assert reported["error"].startswith(ALLOWED_500), (asked, reported)
    elif status >= 400:
        assert isinstance(reported["error"], str), asked
        assert reported["error"], asked


@pytest.mark.parametrize("path", PATHS)
async def test_any_kind_of_value_in_any_place(server, path, caplog):
    answer(server)
    for asked in spoilt(VALID[path]):
        await hold(server, path, asked)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_is_answered_or_refused_in_ollamas_words(server, path, caplog, data):
    answer(server)
    asked = data.draw(as_bytes(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5)))
    await hold(server, path, asked)
    assert "Traceback" not in caplog.text
