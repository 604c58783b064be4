"""OpenAI's and Anthropic's routes on a fake engine: failures, several answers, clients that leave."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.client import Client
from tests.component.conftest import engine_of
from tests.fakes.control import EngineControl
from tests.live import LiveService
from tests.unit.translate.sse_events import datas, events

COUNT = [{"role": "user", "content": "count to 9"}]
CHAT = {"model": "tinychat", "messages": COUNT, "reasoning_effort": "none"}
MESSAGE = {"model": "tinychat", "max_tokens": 99, "messages": COUNT, "thinking": {"type": "disabled"}}
RESPONSE = {"model": "tinychat", "input": "count to 9", "reasoning": {"effort": "none"}}
COMPLETION = {"model": "tinychat", "prompt": "count to 9"}
ROUTES = [
    ("/v1/chat/completions", CHAT),
    ("/v1/completions", COMPLETION),
    ("/v1/responses", RESPONSE),
    ("/v1/messages", MESSAGE),
]


@pytest.fixture
async def engine(shared: LiveService, up: Client) -> EngineControl:
    return await engine_of(shared)


@pytest.fixture
def client(up: Client, engine: EngineControl) -> ClientSession:
    return up.session


async def post(client: ClientSession, path: str, body: Any) -> tuple[int, bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(path, data=data) as answer:
        return answer.status, await answer.read()


@pytest.mark.parametrize("trouble", ["error", "abort", "close"])
@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_failure_in_mid_stream_is_reported_and_ends_the_stream(client, engine, path, body, trouble):
    await engine.script(token_rate=20)
    async with client.post(path, data=json.dumps(body | {"stream": True})) as answer:
        raw = await answer.content.readuntil(b"\n\n")
        await engine.script(trouble=trouble)
        raw += await answer.read()
    name, last = events(raw)[-1]
    assert b"[DONE]" not in raw
    if path == "/v1/responses":
        assert name == "response.failed"
        error = last["response"]["error"]
    else:
        assert name == ("error" if path == "/v1/messages" else None)
        error = last["error"]
    assert error["message"]


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_failure_of_an_answer_that_is_not_streamed_is_a_status(client, engine, path, body):
    await engine.script(trouble="error", after_tokens=3)
    status, raw = await post(client, path, body)
    assert status == 500
    assert json.loads(raw)["error"]["type"] == "api_error"


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_refusal_before_the_first_event_is_a_status_even_for_a_stream(client, engine, path, body):
    await engine.script(refuse=1)
    status, raw = await post(client, path, body | {"stream": True})
    assert status == 503
    assert json.loads(raw)["error"]["message"]


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_client_that_leaves_stops_the_engine(client, engine, path, body):
    await engine.script(token_rate=5)
    asked = client.post(path, data=json.dumps(body | {"stream": True}))
    async with asked as answer:
        await answer.content.readany()
        await engine.until(running=1)
    await engine.until(running=0, waiting=0)


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_client_that_leaves_before_the_whole_answer_stops_the_engine(client, engine, path, body):
    await engine.script(token_rate=5)
    asked = asyncio.create_task(post(client, path, body))
    await engine.until(running=1)
    asked.cancel()
    await engine.until(running=0, waiting=0)


async def test_several_answers_are_generated_together_and_left_together(client, engine):
    await engine.script(token_rate=5)
    async with client.post("/v1/chat/completions", data=json.dumps(CHAT | {"stream": True, "n": 3})) as answer:
        await answer.content.readany()
        await engine.until(running=3)
    await engine.until(running=0, waiting=0)


async def test_several_answers_stream_side_by_side_and_end_once(client):
    _, raw = await post(client, "/v1/chat/completions", CHAT | {"stream": True, "n": 3, "seed": 7})
    chunks = datas(raw)
    texts = dict.fromkeys(range(3), "")
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["delta"].get("content", "")
    assert set(texts.values()) == {"1, 2, 3, 4, 5, 6, 7, 8, 9"}
    assert chunks[-1] == "[DONE]"


async def test_several_answers_get_seeds_of_their_own(client, engine):
    await post(client, "/v1/completions", COMPLETION | {"n": 3, "seed": 7})
    seen = (await engine.state())["seen"]
    assert sorted(request["seed"] for request in seen[-3:]) == [7, 8, 9]


async def test_one_of_several_answers_that_fails_fails_the_request(client, engine):
    await engine.script(trouble="error", after_tokens=5, once=True, token_rate=100)
    status, raw = await post(client, "/v1/chat/completions", CHAT | {"n": 3})
    assert status == 500
    assert json.loads(raw)["error"]["message"]
    await engine.until(running=0, waiting=0)


TWO = 'tide_at moon_at {"port": "Brest"}'
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("tide_at", "moon_at")]


async def test_parallel_calls_can_be_forbidden_in_each_dialect(client):
    asked = [{"role": "user", "content": TWO}]
    chat = CHAT | {"messages": asked, "tools": TOOLS}
    for forbidden, count in (({}, 2), ({"parallel_tool_calls": False}, 1)):
        _, raw = await post(client, "/v1/chat/completions", chat | forbidden)
        assert len(json.loads(raw)["choices"][0]["message"]["tool_calls"]) == count
        flat = [{"type": "function", "name": tool["function"]["name"]} for tool in TOOLS]
        _, raw = await post(client, "/v1/responses", RESPONSE | {"input": TWO, "tools": flat} | forbidden)
        assert len(json.loads(raw)["output"]) == count
    bare = [{"name": tool["function"]["name"], "input_schema": {"type": "object"}} for tool in TOOLS]
    body = MESSAGE | {"messages": asked, "tools": bare}
    for choice, count in (({"type": "auto"}, 2), ({"type": "auto", "disable_parallel_tool_use": True}, 1)):
        _, raw = await post(client, "/v1/messages", body | {"tool_choice": choice})
        assert len(json.loads(raw)["content"]) == count


async def test_tool_choice_reaches_the_engine(client, engine):
    named = {"type": "function", "function": {"name": "tide_at"}}
    await post(client, "/v1/chat/completions", CHAT | {"tools": TOOLS, "tool_choice": named})
    assert (await engine.state())["seen"][-1]["tool_choice"] == named


async def test_an_empty_prompt_and_no_input_only_load(client, engine):
    before = (await engine.state())["finished"]
    status, raw = await post(client, "/v1/completions", {"model": "tinychat", "prompt": ""})
    assert (status, json.loads(raw)["choices"][0]["finish_reason"]) == (200, "load")
    status, raw = await post(client, "/v1/completions", {"model": "tinychat", "prompt": "", "stream": True})
    assert datas(raw)[0]["choices"][0]["finish_reason"] == "load"
    status, raw = await post(client, "/v1/responses", {"model": "tinychat"})
    assert (status, json.loads(raw)["status"]) == (200, "completed")
    status, raw = await post(client, "/v1/responses", {"model": "tinychat", "stream": True})
    assert events(raw)[-1][0] == "response.completed"
    assert (await engine.state())["finished"] == before


async def test_dropped_turns_are_reported_in_a_header(client):
    old = [{"role": "user", "content": "word " * 2500}, {"role": "assistant", "content": "yes"}]
    async with client.post("/v1/chat/completions", data=json.dumps(CHAT | {"messages": [*old, *COUNT]})) as answer:
        assert answer.status == 200
        assert int(answer.headers["X-Vllama-Dropped-Messages"]) >= 1


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_what_is_wrong_with_a_body_is_reported_with_a_charset(client, path, body):
    async with client.post(path, data=b"") as answer:
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert (await answer.json())["error"]["message"] == "missing request body"
    async with client.post(path, data=json.dumps(body | {"model": "nobody"})) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert (await answer.json())["error"]["message"] == "model 'nobody' not found"


async def test_count_tokens_counts_without_generating(client, engine):
    before = (await engine.state())["finished"]
    status, raw = await post(client, "/v1/messages/count_tokens", {"model": "tinychat", "messages": COUNT})
    assert status == 200
    assert json.loads(raw)["input_tokens"] > 0
    assert (await engine.state())["finished"] == before


async def test_a_packed_body_is_read(client):
    zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    packed = zstd.compress(json.dumps(RESPONSE).encode())
    async with client.post("/v1/responses", data=packed, headers={"Content-Encoding": "zstd"}) as answer:
        assert answer.status == 200
        assert (await answer.json())["output"][0]["content"][0]["text"] == "1, 2, 3, 4, 5, 6, 7, 8, 9"
