"""The official ``ollama`` client, used as its users use it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import ollama
import pytest
from pydantic import BaseModel

from tests.clients.wording import Wording

COUNT = [{"role": "user", "content": "Count to 5."}]
GREEDY = {"temperature": 0}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "name of the city"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[ollama.AsyncClient]:
    async with ollama.AsyncClient(host=base_url) as made:
        yield made


async def test_chat(client):
    answer = await client.chat("tinychat", COUNT, think=False, options=GREEDY)
    assert "5" in answer.message.content
    assert answer.message.role == "assistant"
    assert (answer.done, answer.done_reason, answer.model) == (True, "stop", "tinychat")
    assert answer.prompt_eval_count > 0
    assert answer.eval_count > 0
    assert answer.total_duration >= answer.eval_duration > 0


async def test_streamed_chat_says_the_same(client):
    whole = await client.chat("tinychat", COUNT, think=False, options=GREEDY)
    parts = [part async for part in await client.chat("tinychat", COUNT, think=False, stream=True, options=GREEDY)]
    assert "".join(part.message.content for part in parts) == whole.message.content
    assert len(parts) > 3
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]


async def test_thinking_comes_apart(client):
    answer = await client.chat("tinychat", COUNT, think=True, options=GREEDY)
    assert answer.message.thinking
    assert answer.message.content
    assert "think>" not in answer.message.content


async def test_generate(client):
    answer = await client.generate("tinychat", "Count to 5.", think=False, options=GREEDY)
    assert "5" in answer.response
    assert answer.context
    parts = [
        part
        async for part in await client.generate("tinychat", "Count to 5.", stream=True, think=False, options=GREEDY)
    ]
    assert "".join(part.response for part in parts) == answer.response


async def test_generate_limits_and_stops(client):
    short = await client.generate("tinychat", "Count to 5.", think=False, options=GREEDY | {"num_predict": 3})
    assert (short.eval_count, short.done_reason) == (3, "length")
    stopped = await client.generate("tinychat", "Count to 5.", think=False, options=GREEDY | {"stop": ["4"]})
    assert "4" not in stopped.response
    assert stopped.done_reason == "stop"


async def test_tools(client, wording: Wording):
    asked = {"role": "user", "content": wording.weather}
    answer = await client.chat("tinychat", [asked], tools=[TOOL], think=False, options=GREEDY)
    (call,) = answer.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Paris"})
    result = {"role": "tool", "tool_name": "get_weather", "content": "10 degrees"}
    said = await client.chat("tinychat", [asked, answer.message, result], tools=[TOOL], think=False, options=GREEDY)
    assert "10 degrees" in said.message.content


async def test_python_functions_are_tools(client, wording: Wording):
    def get_weather(city: str) -> str:
        """Get the current weather of a city

        Args:
            city: name of the city
        """
        return f"10 degrees in {city}"

    asked = [{"role": "user", "content": wording.weather}]
    parts = [
        part
        async for part in await client.chat(
            "tinychat", asked, tools=[get_weather], think=False, stream=True, options=GREEDY
        )
    ]
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    assert [call.function.name for call in calls] == ["get_weather"]


class Place(BaseModel):
    country: str
    capital: str


async def test_structured_output(client):
    answer = await client.chat(
        "tinychat",
        [{"role": "user", "content": "Describe France as JSON."}],
        format=Place.model_json_schema(),
        think=False,
        options=GREEDY,
    )
    assert Place.model_validate_json(answer.message.content)


async def test_embed(client):
    answer = await client.embed("minilm", ["one", "two"])
    assert len(answer.embeddings) == 2
    assert sum(x * x for x in answer.embeddings[0]) == pytest.approx(1, abs=1e-3)
    old = await client.embeddings("minilm", "one")
    assert list(old.embedding) == pytest.approx(list(answer.embeddings[0]), abs=1e-3)


async def test_list_show_and_ps(client):
    await client.chat("tinychat", COUNT, think=False, options=GREEDY)
    assert "tinychat:latest" in [model.model for model in (await client.list()).models]
    shown = await client.show("tinychat")
    assert {"completion", "tools", "thinking"} <= set(shown.capabilities)
    assert any(key.endswith(".context_length") for key in shown.modelinfo)
    (running,) = [model for model in (await client.ps()).models if model.model == "tinychat:latest"]
    assert running.size > 0
    assert running.expires_at is not None


async def test_errors_are_the_clients_own(client):
    with pytest.raises(ollama.ResponseError, match="model 'nobody' not found") as missing:
        await client.chat("nobody", COUNT)
    assert missing.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="does not support chat") as wrong:
        await client.chat("minilm", COUNT)
    assert wrong.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="must be of type"):
        await client.chat("tinychat", COUNT, options={"stop": "x"})


async def test_a_stream_of_an_unknown_model_fails_at_once(client):
    with pytest.raises(ollama.ResponseError, match="model 'nobody' not found"):
        async for _ in await client.generate("nobody", "x", stream=True):
            pass


def test_the_synchronous_client(base_url):
    with ollama.Client(host=base_url) as client:
        stream = client.chat("tinychat", COUNT, think=False, stream=True, options=GREEDY)
        assert "5" in "".join(part.message.content for part in stream)
