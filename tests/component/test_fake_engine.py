"""The fake engine keeps what it promises, seen through the real client: other tests stand on it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.component.conftest import CHAT_FLAGS
from tests.fakes.running import RunningEngine
from vllama.engine.client import EngineClient
from vllama.errors import EngineGone, EngineRefused

CHAT = "/v1/chat/completions"


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "chat_template_kwargs": {"enable_thinking": False}, **more}


async def streamed(client: EngineClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    chunks = []
    options = {"stream": True, "stream_options": {"include_usage": True}}
    async with client.stream(CHAT, {**body, **options}) as batches:
        async for batch in batches:
            chunks += [orjson.loads(payload) for payload in batch]
    return chunks


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


@pytest.fixture
async def client(fake_engine: RunningEngine):
    client = EngineClient(fake_engine.socket)
    yield client
    await client.close()


async def test_streams_role_deltas_finish_and_usage(client):
    chunks = await streamed(client, ask("count to 5"))
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert text_of(chunks) == "1, 2, 3, 4, 5"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 10
    assert chunks[-1]["metrics"]["generation_time_ms"] > 0


@pytest.mark.parametrize("size", [1, 3, 7])
async def test_dribbled_bytes_make_the_same_answer(fake_engine, client, size):
    await fake_engine.script(dribble=size)
    assert text_of(await streamed(client, ask("naïve 🙂 words"))) == "naïve 🙂 words"


async def test_batches_fifty_streams_together(fake_engine, client):
    await fake_engine.script(token_rate=200)
    started = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(streamed(client, ask("go", ignore_eos=True, max_tokens=40)) for _ in range(50)))
    took = asyncio.get_running_loop().time() - started
    assert {a[-1]["usage"]["completion_tokens"] for a in answers} == {40}
    assert took < 50 * 40 / 200 / 2, "one after another it would take ten seconds"


async def test_stop_string_cuts_and_holds_back(client):
    chunks = await streamed(client, ask("alpha beta gamma delta", stop=["gamma d"]))
    assert text_of(chunks) == "alpha beta "
    assert chunks[-2]["choices"][0]["stop_reason"] == "gamma d"


async def test_a_client_that_leaves_frees_the_slot(fake_engine, client):
    await fake_engine.script(token_rate=20)
    for stream in (True, False):
        body = ask("go", ignore_eos=True, max_tokens=2000)
        coming = streamed(client, body) if stream else client.call(CHAT, body)
        task = asyncio.create_task(coming)
        await fake_engine.until(running=1)
        task.cancel()
        await fake_engine.until(running=0)


async def test_dying_core_sends_an_error_event_and_exits_zero(fake_engine, client):
    await fake_engine.script(trouble="core_dies", after_tokens=5)
    chunks = await streamed(client, ask("go", ignore_eos=True))
    assert chunks[-1]["error"]["message"].startswith("EngineCore encountered an issue")
    with pytest.raises(EngineRefused, match="503"):
        await client.get("/health")
    assert await asyncio.wait_for(fake_engine.wait(), 5) == 0


async def test_killed_server_leaves_its_children(fake_engine, client):
    children = (await fake_engine.state())["children"]
    await fake_engine.script(trouble="signal", after_tokens=5)
    with pytest.raises(EngineGone):
        await streamed(client, ask("go", ignore_eos=True))
    assert await asyncio.wait_for(fake_engine.wait(), 5) == -signal.SIGKILL
    for pid in children:
        os.kill(pid, 0)


async def test_stopped_core_hangs_generation_but_not_health(fake_engine, client):
    core = (await fake_engine.state())["children"][0]
    os.kill(core, signal.SIGSTOP)
    await fake_engine.until(hung=True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.call(CHAT, ask("hello")), 0.5)
    assert await client.get("/health") == b""
    os.kill(core, signal.SIGCONT)
    assert b"hello" in await client.call(CHAT, ask("hello"))


async def test_closed_stream_has_no_done(fake_engine, client):
    await fake_engine.script(trouble="close", after_tokens=5, once=True)
    with pytest.raises(EngineGone):
        await streamed(client, ask("go", ignore_eos=True))
    assert text_of(await streamed(client, ask("again"))) == "again"


async def test_sigterm_aborts_streams_and_exits_zero(fake_engine, client):
    await fake_engine.script(token_rate=50)
    task = asyncio.create_task(streamed(client, ask("go", ignore_eos=True, max_tokens=2000)))
    await fake_engine.until(running=1)
    fake_engine.send(signal.SIGTERM)
    chunks = await task
    assert chunks[-2]["choices"][0]["finish_reason"] == "abort"
    assert await asyncio.wait_for(fake_engine.wait(), 5) == 0


async def test_bad_schema_is_reported_inside_the_stream(client):
    wrong = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nosuch"}}}
    chunks = await streamed(client, ask("hi", response_format=wrong))
    assert chunks[0]["error"]["code"] == 400
    with pytest.raises(EngineRefused, match="nosuch"):
        await client.call(CHAT, ask("hi", response_format=wrong))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (ask("x", temperature=3), "temperature must be in"),
        (ask("x", stop=[str(n) for n in range(65)]), "stop strings"),
        (ask("x", tools=[]), "empty array"),
        (ask("word " * 2100), "maximum context length is 2048"),
        (ask([{"type": "image_url", "image_url": {"url": "data:,"}}]), "not a multimodal model"),
        (ask("x", model="nope"), "does not exist"),
    ],
)
async def test_refuses_in_vllms_words(client, body, words):
    with pytest.raises(EngineRefused, match=words):
        await client.call(CHAT, body)


async def test_start_failure_has_vllms_exit_status_and_line(tmp_path: Path, tinychat_dir: Path):
    engine = RunningEngine(tmp_path, tinychat_dir, *CHAT_FLAGS, start_failure="no_weights")
    with pytest.raises(AssertionError, match="Cannot find any model weights"):
        await engine.__aenter__()
    assert await engine.wait() == 1
