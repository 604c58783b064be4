"""Every template shape in a real engine over tinychat's weights, asked by the official clients in every dialect."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anthropic
import ollama
import openai
import pytest

from tests.client import Client
from tests.component.test_template_shapes import FUNCTION, TOOL, WHERE
from tests.engine.conftest import start
from tests.live import LiveService
from tests.templates import tinychat_with
from tests.templates.shapes import SHAPES

NAMES = {name: f"shape{number}" for number, name in enumerate(SHAPES)}
TOKENS = 4
"""An answer's: what it says does not matter."""


def say(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


CALL = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"at": "qzsea"}'}}
CHATS: Sequence[Sequence[Mapping[str, Any]]] = (
    (say("system", "qza"), say("system", "qzb"), say("user", "qzc")),
    (say("user", "qza"), say("assistant", "qzb"), say("system", "qzc"), say("user", "qzd")),
    (say("user", "qza"), say("user", "qzb")),
    (say("system", "qza"), say("assistant", "qzb"), say("user", "qzc")),
    (say("system", "qza"),),
)
PARTS = [{"type": "text", "text": "qza"}, {"type": "text", "text": "qzb"}]
OPENAI: Sequence[Sequence[Mapping[str, Any]]] = (
    (say("system", "qza"), say("developer", "qzb"), say("user", PARTS)),
    (
        *(say("developer", "qza"), say("user", "qzb"), say("user", "qzc")),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": "qzd"},
        say("user", "qze"),
    ),
)
ITEMS = (
    *(say("developer", "qza"), say("user", "qzb"), say("user", "qzc")),
    {"type": "function_call", "call_id": "a", "name": "look", "arguments": '{"at": "qzsea"}'},
    {"type": "function_call_output", "call_id": "a", "output": "qzd"},
)
BLOCKS = (
    say("user", [{"type": "text", "text": "qza"}]),
    say("assistant", [{"type": "tool_use", "id": "a", "name": "look", "input": {"at": "qzsea"}}]),
    say("user", [{"type": "tool_result", "tool_use_id": "a", "content": "qzb"}, {"type": "text", "text": "qzc"}]),
)
SYSTEM = [{"type": "text", "text": "qzd"}, {"type": "text", "text": "qze"}]


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    """A model for each shape; two engines start at a time, for most of a start is one process's imports."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))
    models = {}
    for name, shape in SHAPES.items():
        template = folder / f"{NAMES[name]}.jinja"
        template.write_text(shape.template)
        source = tinychat_with(template, folder, NAMES[name])
        models[NAMES[name]] = {"source": str(source), "settings": {"kv_cache_memory": "64MiB"}}
    service = start(folder, configured=models, parallel_starts=2, max_loaded=4)
    yield service
    service.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def served(service: LiveService, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The name of the shape's model, loaded; the next one's starts meanwhile."""
    order = list(NAMES)
    at = order.index(request.param)
    async with Client(service.url) as client:
        ahead = [
            asyncio.create_task(client.post("/api/generate", {"model": NAMES[name]})) for name in order[at : at + 2]
        ]
        status, answer = await ahead[0]
        assert status == 200, f"{answer}\n{service.log}"
        yield NAMES[request.param]
        await client.post("/api/generate", {"model": NAMES[request.param], "keep_alive": 0})
        for task in ahead[1:]:
            task.cancel()  # the load goes on without the one who waits


async def words_of(client: Client, path: str, body: Mapping[str, Any]) -> list[str]:
    """The marked words of a request that its prompt lacks."""
    status, shown = await client.post(path, {**body, "_debug_render_only": True})
    assert status == 200, shown
    prompt = shown["_debug_info"]["rendered_template"]
    return sorted({word for word in re.findall(r"qz\w+", str(body)) if word not in prompt})


@pytest.mark.long
@pytest.mark.parametrize("served", SHAPES, indirect=True)
async def test_official_clients_are_answered_and_no_word_is_lost(service: LiveService, served: str):
    tools = next(shape.tools for name, shape in SHAPES.items() if NAMES[name] == served)
    async with (
        Client(service.url) as plain,
        ollama.AsyncClient(service.url) as native,
        openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="any", max_retries=0) as oai,
        anthropic.AsyncAnthropic(base_url=service.url, api_key="any", max_retries=0) as claude,
    ):
        for turns in CHATS:
            answer = await native.chat(served, turns, think="high", options={"num_predict": TOKENS})
            assert answer.done
            assert await words_of(plain, "/api/chat", {"model": served, "messages": turns}) == []
            chat = await oai.chat.completions.create(model=served, messages=turns, max_tokens=TOKENS)
            assert chat.choices[0].finish_reason
        for turns in OPENAI if tools else OPENAI[:1]:
            asked = {"model": served, "messages": turns, **({"tools": FUNCTION} if tools else {})}
            chat = await oai.chat.completions.create(**asked, max_tokens=TOKENS, reasoning_effort="high")
            assert chat.choices[0].finish_reason
            assert await words_of(plain, "/v1/chat/completions", asked) == []
        asked = {"model": served, "input": ITEMS if tools else ITEMS[:3], "instructions": "qze"}
        asked |= {"reasoning": {"effort": "minimal"}, **({"tools": [{"type": "function", **TOOL}]} if tools else {})}
        response = await oai.responses.create(**asked, max_output_tokens=TOKENS)
        assert response.status in {"completed", "incomplete"}
        assert await words_of(plain, "/v1/responses", asked) == []
        asked = {"model": served, "max_tokens": TOKENS, "messages": BLOCKS if tools else BLOCKS[:1], "system": SYSTEM}
        asked |= {"tools": [{"name": "look", "input_schema": WHERE}]} if tools else {}
        message = await claude.messages.create(**asked, extra_body={"output_config": {"effort": "xhigh"}})
        assert message.stop_reason
        assert await words_of(plain, "/v1/messages", asked) == []
        counted = {key: value for key, value in asked.items() if key != "max_tokens"}
        assert (await claude.messages.count_tokens(**counted)).input_tokens > 0
