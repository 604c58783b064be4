"""Whatever a client of OpenAI's or Anthropic's routes sends: an answer or a clear refusal in the route's own shape."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.http.bodies import as_bytes, json_values, spoilt
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


VALUES = json_values(KEYS, LEAVES)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
CALL = {"id": "c", "index": 0, "type": "function", "function": {"name": "f", "arguments": '{"a": "x"}'}}
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
COMMON = {"model": "tinychat", "stream": False, "temperature": 0, "top_p": 1, "seed": 1, "stop": ["x"], "n": 1}
COUNTED = {
    "model": "tinychat",
    "system": [{"type": "text", "text": "x"}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "x"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": "x"}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "x"}]}],
        },
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 5},
}
VALID = {
    "/v1/chat/completions": [
        {
            **COMMON,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "x"}]},
                {"role": "assistant", "content": None, "reasoning": "x", "tool_calls": [CALL]},
                {"role": "tool", "content": "x", "tool_call_id": "c"},
            ],
            "tools": [TOOL],
            "tool_choice": "auto",
            "stream_options": {"include_usage": True},
            "reasoning_effort": "low",
        },
        {
            **COMMON,
            "messages": [{"role": "user", "content": "x"}],
            "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
            "logprobs": True,
            "top_logprobs": 1,
        },
        {**COMMON, "messages": [{"role": "user", "content": [PIXEL]}]},
    ],
    "/v1/completions": [{**COMMON, "prompt": "x", "max_tokens": 5, "logprobs": 1}],
    "/v1/embeddings": [{"model": "minilm", "input": ["x"], "dimensions": 1, "encoding_format": "float"}],
    "/v1/responses": [
        {
            "model": "tinychat",
            "instructions": "x",
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "x"},
                {"type": "reasoning", "encrypted_content": "x", "summary": []},
            ],
            "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
            "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}},
            "reasoning": {"effort": "low"},
            "max_output_tokens": 5,
        },
        {"model": "tinychat", "input": "x"},
    ],
    "/v1/messages": [{**COUNTED, "max_tokens": 9, "stop_sequences": ["x"], "top_k": 1}],
    "/v1/messages/count_tokens": [COUNTED],
}


def answer(server) -> None:
    server.engine.replies[EMBED] = [Reply(parts=[b'{"data":[],"usage":{"prompt_tokens":1}}'])]
    server.engine.replies[TOKENIZE] = [Reply(parts=[b'{"tokens":[1],"count":1}'])]
    server.engine.replies["/detokenize"] = [Reply(parts=[b'{"prompt":"x"}'])]


async def hold(server, path: str, asked: object) -> None:
    status, reported = await server.post(path, asked)
    assert status in {200, 400, 404, 500}, asked
    if status != 200:
        assert reported["error"]["message"], asked
        assert ("request_id" in reported) == path.startswith("/v1/messages"), asked
    if status == 500:
        assert reported["error"]["message"].startswith("invalid format: "), (asked, reported)


@pytest.mark.parametrize("path", PATHS)
async def test_any_kind_of_value_in_any_place(server, path, caplog):
    answer(server)
    for asked in spoilt(VALID[path]):
        await hold(server, path, asked)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_is_answered_or_refused_in_the_routes_own_shape(server, path, caplog, data):
    answer(server)
    asked = data.draw(as_bytes(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5)))
    await hold(server, path, asked)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", PATHS)
async def test_what_the_noise_is_made_of_is_understood(server, path):
    answer(server)
    for asked in VALID[path]:
        status, reported = await server.post(path, asked)
        assert status == 200 or "does not support vision" in reported["error"]["message"], reported
