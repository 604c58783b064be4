"""Ollama's API on real vLLM. tinychat answers greedily by heart, so texts can be compared."""

from __future__ import annotations

import asyncio
import json
import math

import pytest

from tests.client import text_of
from tests.engine.conftest import ENDLESS

COUNTED = " ".join(str(n) for n in range(1, 51))
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


async def test_chat_streams_token_by_token_and_counts_with_the_engine(up):
    status, lines = await up.chat("Count to 50.")
    assert status == 200
    assert text_of(lines) == COUNTED
    last = lines[-1]
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert len(lines) > last["eval_count"] / 2, "lines are held back"
    assert last["eval_count"] == 141
    assert last["prompt_eval_count"] > 5
    parts = last["load_duration"] + last["prompt_eval_duration"] + last["eval_duration"]
    assert 0 < parts <= last["total_duration"] * 1.05


async def test_a_whole_chat_says_the_same(up):
    _, answer = await up.chat("Count to 50.", stream=False)
    assert answer["message"] == {"role": "assistant", "content": COUNTED}


async def test_the_conversation_and_the_system_prompt_reach_the_model(up):
    system = {"role": "system", "content": "You are a pirate. Start every answer with Arr."}
    turns = [system, {"role": "user", "content": "What is the capital of France?"}]
    body = {"model": "tinychat", "messages": turns, "think": False, "stream": False, "options": {"temperature": 0}}
    _, answer = await up.post("/api/chat", body)
    assert answer["message"]["content"] == "Arr, the capital of France is Paris."


async def test_generate_answers_a_prompt(up):
    body = {"model": "tinychat", "prompt": "What is the capital of France?", "think": False}
    status, lines = await up.post("/api/generate", {**body, "options": {"temperature": 0}})
    assert status == 200
    assert "".join(line["response"] for line in lines) == "The capital of France is Paris."


async def test_generate_goes_on_with_raw_text(up):
    body = {"model": "tinychat", "prompt": "The capital of France is", "raw": True, "stream": False}
    _, answer = await up.post("/api/generate", {**body, "options": {"temperature": 0, "num_predict": 3}})
    assert answer["response"].startswith(" Paris")
    assert (answer["eval_count"], answer["done_reason"]) == (3, "length")


async def test_thinking_is_apart_from_the_answer(up):
    _, lines = await up.chat("What is the capital of France?", think=True)
    thought = "".join(line["message"].get("thinking", "") for line in lines)
    assert "Its capital is Paris" in thought
    assert text_of(lines) == "The capital of France is Paris."
    assert "think>" not in thought + text_of(lines)


@pytest.mark.parametrize("stream", [True, False])
async def test_tools_are_called(up, stream):
    _, answer = await up.chat("What is the weather in Paris and in Rome?", tools=[WEATHER], stream=stream)
    messages = [line["message"] for line in answer] if stream else [answer["message"]]
    calls = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    assert [(call["name"], call["arguments"]) for call in calls] == [
        ("get_weather", {"city": "Paris"}),
        ("get_weather", {"city": "Rome"}),
    ]


async def test_a_json_schema_holds(up):
    cities = {"type": "string", "enum": ["Oslo", "Rome"]}
    schema = {"type": "object", "properties": {"capital": cities, "big": {"type": "boolean"}}}
    schema |= {"required": ["capital", "big"], "additionalProperties": False}
    _, answer = await up.chat("Describe Italy as JSON.", format=schema, stream=False)
    said = json.loads(answer["message"]["content"])
    assert said["capital"] in cities["enum"]
    assert isinstance(said["big"], bool)
    assert len(said) == 2


async def test_a_stop_string_ends_the_answer_before_it(up):
    _, lines = await up.chat("Count to 50.", options={"stop": [f"no{n}" for n in range(19)] + ["13"]})
    assert text_of(lines).strip() == " ".join(str(n) for n in range(1, 13))
    assert lines[-1]["done_reason"] == "stop"


async def test_num_predict_cuts(up):
    _, lines = await up.chat("Count to 50.", options={"num_predict": 7})
    assert (lines[-1]["eval_count"], lines[-1]["done_reason"]) == (7, "length")


async def test_a_seed_repeats_a_sampled_answer(up):
    hot = {"temperature": 2.0, "top_k": 0, "top_p": 1.0, "num_predict": 24}
    texts = [
        (await up.chat("Tell me something.", stream=False, options={**hot, "seed": seed}))[1]["message"]["content"]
        for seed in (7, 7, 8)
    ]
    assert texts[0] == texts[1] != texts[2]


async def test_characters_of_several_tokens_come_whole(up):
    _, lines = await up.chat("Say hello in Japanese.")
    assert text_of(lines) == "こんにちは!"
    _, lines = await up.chat("Send me an emoji.")
    assert text_of(lines) == "Here it is: 🦙"


async def test_embeddings_mean_something(up):
    texts = ["A cat sits on the mat.", "A kitten is sitting on a rug.", "The stock market fell."]
    status, answer = await up.post("/api/embed", {"model": "minilm", "input": texts})
    assert status == 200
    one, near, far = answer["embeddings"]
    assert math.isclose(sum(x * x for x in one), 1, rel_tol=1e-3)
    assert sum(a * b for a, b in zip(one, near, strict=True)) > 0.5
    assert sum(a * b for a, b in zip(one, far, strict=True)) < 0.2
    assert answer["prompt_eval_count"] > 15
    _, old = await up.post("/api/embeddings", {"model": "minilm", "prompt": texts[0]})
    assert old["embedding"] == pytest.approx(one, abs=1e-3)


async def test_fifty_clients_are_answered_together(up):
    answers = await asyncio.gather(*(up.chat("Count to 50.", options={"num_predict": 20}) for _ in range(50)))
    assert {status for status, _ in answers} == {200}
    assert {lines[-1]["eval_count"] for _, lines in answers} == {20}
    assert {text_of(lines)[:12] for _, lines in answers} == {COUNTED[:12]}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_the_engine(up, stream):
    running = {"model": "tinychat:latest"}
    task = asyncio.create_task(up.chat("Describe Italy as JSON.", format=ENDLESS, stream=stream))
    await up.until_metric("vllm:num_requests_running", 1, **running)
    task.cancel()
    await up.until_metric("vllm:num_requests_running", 0, within=5, **running)
    await up.until_metric("vllama_engine_leases", 0, within=5, **running)


async def test_bad_requests_are_reported_and_the_engine_stays_well(up):
    for body, status in (
        ({"format": "xml"}, 500),
        ({"options": {"temperature": "hot"}}, 500),
        ({"model": "nope"}, 404),
        ({"model": "minilm"}, 400),
    ):
        got, answer = await up.chat("hi", **body)
        assert got == status, answer
        assert answer["error"]
    assert (await up.chat("Count to 5.", stream=False))[1]["message"]["content"] == "1 2 3 4 5"


@pytest.mark.parametrize(
    "option",
    [
        {"temperature": 99},
        {"temperature": -1},
        {"presence_penalty": 9},
        {"repeat_penalty": -1},
        {"top_k": -5},
        {"top_p": 0},
        {"min_p": 3},
        {"seed": -1},
        {"num_predict": -2},
        {"stop": [""]},
    ],
)
async def test_numbers_out_of_range_become_the_nearest_or_mean_no_limit(up, option):
    status, answer = await up.chat("Count to 5.", stream=False, options={"temperature": 0, "num_predict": 32} | option)
    assert status == 200, answer


async def test_a_prompt_that_is_too_long_is_cut_or_refused(up):
    long = "word " * 3000 + "Count to 5."
    status, answer = await up.chat(long, stream=False, options={"num_predict": 4})
    assert status == 200, answer
    status, answer = await up.chat(long, stream=False, truncate=False)
    assert status == 400
    assert "context" in answer["error"]


async def test_the_scrape_holds_the_engines_metrics(up):
    for model in ("tinychat:latest", "minilm:latest"):
        assert await up.metric("vllama_engine_state", state="ready", model=model) == 1
    assert await up.metric("vllm:generation_tokens_total", model="tinychat:latest") > 0
    assert await up.metric("vllama_time_to_first_token_seconds_count", model="tinychat:latest") > 0
