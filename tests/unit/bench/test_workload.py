from __future__ import annotations

import orjson
import pytest

from vllama.bench.workload import Workload, tokens_of


def test_both_dialects_ask_the_same():
    work = Workload("Count to 9.", 20)
    ours, bare = (orjson.loads(work.body(dialect, "m")) for dialect in ("ollama", "openai"))
    assert ours["messages"] == bare["messages"]
    assert ours["options"] == {"temperature": bare["temperature"], "num_predict": bare["max_tokens"]}
    assert ours["think"] is bare["chat_template_kwargs"]["enable_thinking"] is False


@pytest.mark.parametrize(
    ("dialect", "tail", "tokens"),
    [
        ("ollama", b'{"done":false}\n{"done":true,"eval_count":12}\n', 12),
        ("ollama", b'{"message":{},"done":false}\n', -1),
        ("ollama", b'{"error":"gone"}\n', -1),
        ("ollama", b'alf a line"}\n{"done":true,"eval_count":3}', 3),
        ("openai", b'data: {"choices":[],"usage":{"completion_tokens":7}}\n\ndata: [DONE]\n\n', 7),
        ("openai", b'data: {"error":{"code":500}}\n\ndata: [DONE]\n\n', -1),
        ("openai", b"data: {broken\n\n", -1),
        ("openai", b"", -1),
    ],
)
def test_tokens_are_the_servers_own_count(dialect, tail, tokens):
    assert tokens_of(dialect, tail) == tokens
