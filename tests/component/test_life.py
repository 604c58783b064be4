"""Requests through the whole service: real HTTP, the real supervisor, fake engines as processes."""

from __future__ import annotations

import asyncio
import os
import signal

import orjson
import pytest

from tests.client import Client, text_of
from tests.component.conftest import engine_of
from tests.live import LiveService
from tests.processes import until_gone


async def answers(up: Client) -> None:
    status, answer = await up.chat("count to 3", stream=False)
    assert status == 200, answer
    assert answer["message"]["content"] == "1, 2, 3"


async def test_a_request_loads_its_model_and_is_answered_token_by_token(up):
    status, lines = await up.chat("count to 30")
    assert status == 200
    assert text_of(lines) == ", ".join(str(n) for n in range(1, 31))
    assert len(lines) > 10
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["eval_count"] == 60


async def test_a_whole_answer_says_the_same(up):
    status, answer = await up.chat("count to 5", stream=False)
    assert status == 200
    assert answer["message"]["content"] == "1, 2, 3, 4, 5"
    assert answer["done_reason"] == "stop"


async def test_two_models_are_served_by_two_engines_at_once(up):
    (_, one), (_, other) = await asyncio.gather(
        up.chat("count to 3", stream=False), up.chat("count to 4", model="other", stream=False)
    )
    assert one["message"]["content"] == "1, 2, 3"
    assert other["message"]["content"] == "1, 2, 3, 4"
    _, ps = await up.get("/api/ps")
    assert {model["name"] for model in ps["models"]} == {"tinychat:latest", "other:latest"}


async def test_fifty_clients_are_answered_together(shared, up):
    engine = await engine_of(shared)
    await engine.script(token_rate=100)
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = await asyncio.gather(*(up.chat("count to 20") for _ in range(50)))
    took = loop.time() - began
    assert {text_of(lines) for _, lines in answers} == {", ".join(str(n) for n in range(1, 21))}
    assert took < 50 * 40 / 100 / 2, "one after another it would take twenty seconds"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_the_engine(shared, up, stream):
    engine = await engine_of(shared)
    await engine.script(token_rate=20)
    task = asyncio.create_task(up.chat("count to 700", stream=stream))
    await engine.until(running=1)
    task.cancel()
    await engine.until(running=0, waiting=0)
    await up.until_metric("vllama_engine_leases", 0, model="tinychat:latest")


async def test_a_client_that_leaves_while_the_model_loads_loses_nothing(service: LiveService):
    (service.folder / "tinychat" / "fake.json").write_text('{"start_seconds": 1.0}')
    async with service as up:
        task = asyncio.create_task(up.chat("hello"))
        await up.until_metric("vllama_requests_waiting", 1, model="tinychat:latest")
        task.cancel()
        await up.until_metric("vllama_requests_waiting", 0, model="tinychat:latest")
        status, _ = await up.chat("hello")
        assert status == 200


async def test_how_far_a_load_is_can_be_asked_while_the_contract_lists_only_what_is_loaded(service: LiveService):
    (service.folder / "tinychat" / "fake.json").write_text('{"start_seconds": 1.0}')
    async with service as up:
        task = asyncio.create_task(up.chat("hello"))
        await up.until_metric("vllama_engine_state", 1, model="tinychat:latest", state="starting")
        (engine,) = (await up.get("/vllama/engines"))[1]["engines"]
        assert (engine["name"], engine["phase"], engine["waiting"]) == ("tinychat:latest", "starting", 1)
        assert engine["stage"]
        assert (await up.get("/api/ps"))[1] == {"models": []}
        assert (await task)[0] == 200
        (engine,) = (await up.get("/vllama/engines"))[1]["engines"]
        assert (engine["phase"], engine["context_length"]) == ("ready", 2048)


async def test_an_engine_that_dies_in_mid_stream_ends_it_with_an_error_line_and_is_back(shared, up):
    engine = await engine_of(shared)
    await engine.script(trouble="core_dies", after_tokens=20)
    status, lines = await up.chat("count to 100")
    assert status == 200
    assert "error" in lines[-1]
    assert 5 < len(lines) < 60
    await answers(up)


@pytest.mark.parametrize("trouble", ["error", "abort", "close"])
async def test_a_stream_that_breaks_ends_with_an_error_line(shared, up, trouble):
    engine = await engine_of(shared)
    await engine.script(trouble=trouble, after_tokens=20, once=True)
    _, lines = await up.chat("count to 100")
    assert set(lines[-1]) == {"error"}
    assert not any(line.get("done") for line in lines)
    await answers(up)


async def test_an_engine_that_dies_under_a_whole_answer_is_reported_with_a_status(shared, up):
    engine = await engine_of(shared)
    await engine.script(trouble="core_dies", after_tokens=20)
    status, answer = await up.chat("count to 100", stream=False)
    assert status == 500
    assert "unexpectedly stopped" in answer["error"]


async def test_an_engine_that_is_full_is_reported_as_busy(shared, up):
    engine = await engine_of(shared)
    await engine.script(refuse=1)
    status, answer = await up.chat("hello")
    assert status == 503
    assert "takes no more requests" in answer["error"]
    assert (await up.chat("hello"))[0] == 200


@pytest.mark.parametrize("size", [1, 5])
async def test_bytes_that_dribble_in_make_the_same_answer(shared, up, size):
    engine = await engine_of(shared)
    await engine.script(dribble=size)
    _, lines = await up.chat("naïve 🙂 words, 日本語")
    assert text_of(lines) == "naïve 🙂 words, 日本語"


async def test_keep_alive_zero_unloads_and_the_processes_are_gone(shared, up):
    state = await (await engine_of(shared, "other")).state()
    await up.chat("hello", model="other", keep_alive=0)
    await until_gone([state["pid"], *state["children"]], 10)
    _, ps = await up.get("/api/ps")
    assert "other:latest" not in [model["name"] for model in ps["models"]]


async def test_the_scrape_holds_our_metrics_and_the_engines(up):
    model = {"model": "tinychat:latest"}
    counted = {
        "vllama_generated_tokens_total": 10,
        "vllama_time_to_first_token_seconds_count": 1,
        "vllama_requests_total": 1,
        "vllm:generation_tokens_total": 10,
    }
    await up.chat("hello")
    before = {name: await up.metric(name, **model) for name in counted}
    await up.chat("count to 5")
    assert {name: await up.metric(name, **model) - before[name] for name in counted} == counted
    assert await up.metric("vllama_engine_state", state="ready", **model) == 1
    assert await up.metric("vllama_load_seconds_count", **model) >= 1


async def test_a_hung_scrape_of_one_engine_does_not_hold_up_the_others(shared, up):
    pid = (await (await engine_of(shared)).state())["pid"]
    await engine_of(shared, "other")
    os.kill(pid, signal.SIGSTOP)
    _, text = await up.get("/metrics")
    os.kill(pid, signal.SIGCONT)
    assert 'vllm:num_requests_running{model="other:latest"' in text
    assert 'vllm:num_requests_running{model="tinychat:latest"' not in text
    assert 'vllama_engine_state{model="tinychat:latest"' in text


async def test_first_tokens_are_not_held_back(shared, up):
    engine = await engine_of(shared)
    await engine.script(token_rate=4)
    body = {"model": "tinychat", "messages": [{"role": "user", "content": "count to 20"}], "think": False}
    async with up.session.post("/api/chat", data=orjson.dumps(body)) as answer:
        first = orjson.loads(await asyncio.wait_for(answer.content.readline(), 2))
        assert first["message"]["content"] == "1"
        state = await engine.state()
        assert state["running"] == 1


async def test_a_model_to_preload_that_was_not_pulled_is_reported_and_the_rest_starts(service: LiveService):
    service.config["preload"] = ["qwen3:0.6b", "tinychat"]
    async with service as up:
        await up.until_metric("vllama_engine_state", 1, model="tinychat:latest", state="ready")
        assert "preload.0: qwen3:0.6b is not pulled: vllama pull qwen3:0.6b" in up.log
