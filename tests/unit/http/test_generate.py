from __future__ import annotations

import dataclasses
import math

import orjson
import pytest

from tests.unit.http.conftest import CHATTER
from tests.unit.http.scripted import CHAT, TEXT, TOKENIZE, Reply, error
from tests.unit.translate.chunks import chat, sse, text, usage

ASK = {"model": "tinychat", "prompt": "Hi", "stream": False}


def ids(*tokens):
    return Reply(parts=[orjson.dumps({"tokens": tokens})])


async def test_answers_with_the_ids_of_prompt_and_answer(server):
    first = orjson.dumps({**orjson.loads(chat({"role": "assistant", "content": ""})), "prompt_token_ids": [1, 2]})
    parts = [first, chat({"content": "Hi"}, token_ids=[3]), chat({}, "stop", token_ids=[9]), usage()]
    server.engine.replies[CHAT] = [Reply(parts=[sse(parts)])]
    _, body = await server.post("/api/generate", ASK)
    assert (body["response"], body["context"]) == ("Hi", [1, 2, 3])


async def test_the_requests_system_prompt_replaces_the_models(server):
    server.models.models[CHATTER.name.key] = dataclasses.replace(
        CHATTER, system="Stored.", messages=({"role": "user", "content": "q"},)
    )
    await server.post("/api/generate", {**ASK, "system": "Asked."})
    assert [m["content"] for m in server.engine.bodies(CHAT)[0]["messages"]] == ["Asked.", "q", "Hi"]


async def test_raw_goes_without_a_template(server):
    _, body = await server.post("/api/generate", {**ASK, "raw": True})
    assert (body["response"], "context" in body) == ("Hi", False)
    assert server.engine.bodies(TEXT)[0]["prompt"] == "Hi"


async def test_a_context_comes_before_the_new_turn_and_thinking_is_kept_apart(server):
    server.engine.replies[TOKENIZE] = [ids(4, 5)]
    parts = [text("<think>\nHm</think>\n\nHello"), text("", "stop"), usage()]
    server.engine.replies[TEXT] = [Reply(parts=[sse(parts)])]
    _, body = await server.post("/api/generate", {**ASK, "context": [1, 2]})
    assert (body["response"], body["thinking"]) == ("Hello", "Hm")
    assert server.engine.bodies(TEXT)[0]["prompt"] == [1, 2, 4, 5]


async def test_a_suffix_is_filled_in_with_the_familys_tokens(server):
    facts = dataclasses.replace(
        CHATTER.facts,
        capabilities=("completion", "insert"),
        special_tokens={"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3},
    )
    server.models.models[CHATTER.name.key] = dataclasses.replace(CHATTER, facts=facts)
    await server.post("/api/generate", {**ASK, "prompt": "a{suffix}", "suffix": "b"})
    assert server.engine.bodies(TEXT)[0]["prompt"] == "<|fim_prefix|>a{suffix}<|fim_suffix|>b<|fim_middle|>"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 404, "model '' not found"),
        ({"model": "x", "top_logprobs": -1}, 400, "top_logprobs must be between 0 and 20"),
        ({"model": "x:local"}, 404, "model 'x:local' not found"),
        ({**ASK, "raw": True, "system": "s"}, 400, "raw mode does not support template, system, or context"),
        ({"model": "minilm", "prompt": "x", "suffix": "y"}, 400, '"minilm" does not support generate'),
        ({**ASK, "suffix": "y"}, 400, "registry.ollama.ai/library/tinychat:latest does not support insert"),
        ({**ASK, "images": ["data:x"]}, 400, "illegal base64 data at input byte 4"),
        ({**ASK, "images": ["AAAA"]}, 400, '"tinychat" does not support vision'),
        (
            {**ASK, "keep_alive": "5"},
            400,
            'keep_alive: invalid duration "5": write "10m" or "1h30m", or a number of seconds',
        ),
    ],
)
async def test_checks_in_ollamas_order(server, body, status, said):
    assert await server.post("/api/generate", body) == (status, {"error": said})


@pytest.mark.parametrize("keep_alive", [0, "0", "0s", "-0s", 1e-10, "0.0000000001s"])
async def test_what_go_counts_as_nothing_unloads(server, keep_alive):
    _, body = await server.post("/api/generate", {"model": "tinychat", "keep_alive": keep_alive})
    assert body["done_reason"] == "unload"


@pytest.mark.parametrize("keep_alive", [-1, -1e-10, "-1s", 1e10, 1e308, 2**63])
async def test_what_go_counts_as_more_than_it_can_stays_for_ever(server, keep_alive):
    _, body = await server.post("/api/generate", {"model": "tinychat", "keep_alive": keep_alive})
    assert (body["done_reason"], server.engines.keep_alives) == ("load", [math.inf])


async def test_an_embedder_can_be_unloaded(server):
    _, body = await server.post("/api/generate", {"model": "minilm", "keep_alive": 0})
    assert body["done_reason"] == "unload"


async def test_a_bad_format_does_not_stop_a_load(server):
    assert (await server.post("/api/generate", {"model": "tinychat", "format": "xml"}))[1]["done_reason"] == "load"


async def test_a_prompt_that_is_too_long_is_cut_in_the_middle_and_says_so(server):
    server.engine.replies[CHAT] = [error(400, "maximum context length is 2048 tokens")]
    server.engine.replies[TOKENIZE] = [ids(*range(5000))]
    data = orjson.dumps({**ASK, "options": {"num_keep": 3}})
    async with server.session.post(server.base + "/api/generate", data=data) as answer:
        assert answer.status == 200
        assert answer.headers["X-Vllama-Cut-Tokens"] == "3976"
    sent = server.engine.bodies(TEXT)[0]["prompt"]
    assert len(sent) == 1024
    assert (sent[:4], sent[-1]) == ([0, 1, 2, 3979], 4999)


async def test_a_context_longer_than_the_engines_is_cut_without_asking_it(server):
    server.engine.replies[TOKENIZE] = [ids(4, 5)]
    await server.post("/api/generate", {**ASK, "context": [1] * 5000})
    assert len(server.engine.bodies(TEXT)[0]["prompt"]) == 1024
