"""Every template shape in vLLM's own renderer; the strictest in a whole engine, asked by the official clients."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import anthropic
import ollama
import openai
import orjson
import pytest

from tests.client import Client
from tests.component.test_template_shapes import ASKED, FUNCTION, WHERE
from tests.fakes.model_dir import TINYCHAT
from tests.installed_engine import installed_engine
from tests.templates.shapes import SHAPES
from tests.unit.translate.models import model
from vllama.engine.client import EngineClient
from vllama.errors import EngineError
from vllama.supervisor.template_trials import TemplateTrials
from vllama.translate.engine.requests import chat_prompt, conversation
from vllama.translate.pieces import ChatCall

_UP_WITHIN = 300.0


class Renderer(EngineClient):
    """vLLM's renderer with any chat template: it takes one with each request."""

    template = ""

    async def call(self, path: str, body: Mapping[str, Any] | bytes, *, timeout: float | None = None) -> bytes:
        assert isinstance(body, Mapping)
        return await super().call(path, {**body, "chat_template": self.template}, timeout=timeout)


@pytest.fixture(scope="module")
def socket() -> Iterator[Path]:
    """Of vLLM's renderer, without weights, for tinychat's tokenizer."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))
    socket = folder / "r.sock"
    argv = [str(installed_engine().python), "-m", "vllm.entrypoints.launchers.render.entry", "--model", str(TINYCHAT)]
    argv += ["--served-model-name", "tinychat", "--uds", str(socket), "--trust-request-chat-template"]
    env = {**os.environ, "VLLM_TARGET_DEVICE": "cpu", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, env=env, stdout=log, stderr=log)
    yield socket
    process.terminate()
    process.wait(60)
    shutil.rmtree(folder)


@pytest.fixture
async def renderer(socket: Path) -> AsyncIterator[Renderer]:
    client = Renderer(socket)
    deadline = time.monotonic() + _UP_WITHIN
    while True:
        try:
            await client.get("/health")
            break
        except EngineError:
            assert time.monotonic() < deadline, (socket.parent / "log").read_text()
            await asyncio.sleep(0.1)
    yield client
    await client.close()


@pytest.mark.parametrize("name", SHAPES)
async def test_nothing_is_refused_and_no_word_is_lost(renderer, name):
    shape = SHAPES[name]
    renderer.template = shape.template
    asked = model(
        capabilities=("completion", "thinking", *(["tools"] if shape.tools else [])), chat_template=shape.template
    )
    shapes = await TemplateTrials().shapes(renderer, "tinychat", asked)
    for case, make in ASKED.items():
        call = make() if shape.tools else ChatCall(make().messages)
        prompt = chat_prompt(call, conversation(asked, call.messages), asked, shapes)
        body = {"model": "tinychat", "return_token_strs": True, **prompt}
        text = "".join(orjson.loads(await renderer.call("/tokenize", body))["token_strs"])
        said = [word for message in call.messages for word in re.findall(r"qz\w+", message.content)]
        said += [str(one.arguments["at"]) for message in call.messages for one in message.tool_calls]
        assert [word for word in said if word not in text] == [], case


SYSTEM, HELLO = {"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": "Hello!"}
GREETS = {"role": "assistant", "content": "Hello! How can I help you?"}
CAPITAL = {"role": "user", "content": "What is the capital of France?"}
TURNS = [[SYSTEM, SYSTEM, CAPITAL], [HELLO, GREETS, SYSTEM, CAPITAL], [HELLO, CAPITAL], [GREETS, CAPITAL]]


@pytest.mark.parametrize("turns", TURNS)
async def test_ollamas_client(strict_url, turns):
    async with ollama.AsyncClient(strict_url) as client:
        answer = await client.chat("strict", turns, think="high", options={"temperature": 0, "num_predict": 40})
        assert answer.message.content or answer.message.thinking


@pytest.mark.parametrize("turns", TURNS)
async def test_openais_client(strict_url, turns):
    async with openai.AsyncOpenAI(base_url=f"{strict_url}/v1", api_key="any", max_retries=0) as client:
        chat = await client.chat.completions.create(
            model="strict",
            messages=[{"role": "developer", "content": "Be brief."}, *turns],
            max_tokens=40,
            temperature=0,
        )
        assert chat.choices[0].finish_reason
        answer = await client.responses.create(
            model="strict",
            input=[{"role": "developer", "content": "Be brief."}, *turns],
            instructions="You are a helpful assistant.",
            reasoning={"effort": "minimal"},
            max_output_tokens=40,
        )
        assert answer.status in {"completed", "incomplete"}


async def test_openais_client_with_tools_and_parts(strict_url):
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    parts = [{"type": "text", "text": "Hello!"}, {"type": "text", "text": "Look."}]
    turns = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "Blue."},
        CAPITAL,
    ]
    async with openai.AsyncOpenAI(base_url=f"{strict_url}/v1", api_key="any", max_retries=0) as client:
        answer = await client.chat.completions.create(model="strict", messages=turns, tools=FUNCTION, max_tokens=40)
        assert answer.choices[0].finish_reason


async def test_anthropics_client(strict_url):
    turns = [
        HELLO,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "look", "input": {"at": "sea"}}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "Blue."},
                {"type": "text", "text": CAPITAL["content"]},
            ],
        },
    ]
    asked = {
        "model": "strict",
        "messages": turns,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        "tools": [{"name": "look", "input_schema": WHERE}],
        "extra_body": {"output_config": {"effort": "high"}},
    }
    async with anthropic.AsyncAnthropic(base_url=strict_url, api_key="any", max_retries=0) as client:
        answer = await client.messages.create(max_tokens=40, **asked)
        assert answer.stop_reason
        counted = await client.messages.count_tokens(**asked)
        assert counted.input_tokens == answer.usage.input_tokens


async def test_the_prompt_is_the_same_where_it_is_only_shown(strict_url):
    asked = {
        "model": "strict",
        "messages": [SYSTEM, HELLO, SYSTEM, CAPITAL],
        "think": "high",
        "_debug_render_only": True,
    }
    async with Client(strict_url) as client:
        _, shown = await client.post("/api/chat", asked)
    text = shown["_debug_info"]["rendered_template"]
    assert text.count("<|im_start|>system") == 1
    assert "Effort: xhigh" in text
    assert "Hello!\n\nWhat is the capital of France?" in text
