from __future__ import annotations

import orjson
import pytest

from vllama.bench.prompts import Prompts
from vllama.bench.workload import Workload


def bodies(work: Workload) -> tuple[dict, dict]:
    ours, bare = (orjson.loads(work.body(dialect, "m", "seed", 3)) for dialect in ("ollama", "openai"))
    return ours, bare


def test_both_dialects_ask_the_same():
    ours, bare = bodies(Workload(prompt="Count to 9.", max_tokens=20))
    assert ours["messages"] == bare["messages"] == [{"role": "user", "content": "Count to 9."}]
    assert ours["options"] == {"temperature": bare["temperature"], "num_predict": bare["max_tokens"]}
    assert ours["think"] is bare["chat_template_kwargs"]["enable_thinking"] is False
    assert ours["stream"] is bare["stream"] is True


def test_a_shared_system_prompt_comes_first():
    ours, bare = bodies(Workload(Prompts(system=100)))
    assert ours["messages"] == bare["messages"]
    assert [turn["role"] for turn in ours["messages"]] == ["system", "user"]


def test_generate_asks_the_other_routes():
    work = Workload(prompt="Once", route="generate")
    ours, bare = bodies(work)
    assert ours["prompt"] == bare["prompt"] == "Once"
    assert (work.path("ollama"), work.path("openai")) == ("/api/generate", "/v1/completions")


def test_answers_in_one_piece_ask_for_no_streamed_usage():
    ours, bare = bodies(Workload(stream=False))
    assert ours["stream"] is bare["stream"] is False
    assert "stream_options" not in bare


@pytest.mark.parametrize("fixed", [True, False])
def test_a_fixed_length_goes_on_past_the_end_of_the_text(fixed):
    _, bare = bodies(Workload(fixed=fixed))
    assert bare.get("ignore_eos", False) is fixed
