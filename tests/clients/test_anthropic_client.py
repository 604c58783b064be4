"""The official ``anthropic`` client, used as its users use it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anthropic
import pytest

from tests.clients.wording import Wording

COUNT = [{"role": "user", "content": "Count to 5."}]
TOOL = {
    "name": "get_weather",
    "description": "Get the current weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "name of the city"}},
        "required": ["city"],
    },
}
GREEDY = {"temperature": 0}
OFF = {"type": "disabled"}
ON = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key="any", max_retries=0) as made:
        yield made


async def test_message(client):
    answer = await client.messages.create(
        model="tinychat", max_tokens=128, messages=COUNT, extra_body=GREEDY, thinking=OFF
    )
    (block,) = answer.content
    assert block.type == "text"
    assert "5" in block.text
    assert (answer.role, answer.model, answer.stop_reason) == ("assistant", "tinychat", "end_turn")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0


async def test_streamed_message(client):
    async with client.messages.stream(
        model="tinychat", max_tokens=128, messages=COUNT, extra_body=GREEDY, thinking=OFF
    ) as stream:
        pieces = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert len(pieces) > 3
    assert "".join(pieces) == final.content[0].text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0


async def test_max_tokens(client):
    answer = await client.messages.create(
        model="tinychat", max_tokens=3, messages=COUNT, extra_body=GREEDY, thinking=OFF
    )
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 3)


async def test_thinking_is_a_block_of_its_own(client):
    answer = await client.messages.create(
        model="tinychat", max_tokens=128, messages=COUNT, extra_body=GREEDY, thinking=ON
    )
    assert [block.type for block in answer.content] == ["thinking", "text"]
    async with client.messages.stream(
        model="tinychat", max_tokens=128, messages=COUNT, extra_body=GREEDY, thinking=ON
    ) as stream:
        final = await stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].thinking == answer.content[0].thinking


async def test_tools(client, wording: Wording):
    asked = [{"role": "user", "content": wording.weather}]
    same = {"model": "tinychat", "max_tokens": 128, "tools": [TOOL], "extra_body": GREEDY, "thinking": OFF}
    answer = await client.messages.create(messages=asked, **same)
    assert answer.stop_reason == "tool_use"
    call = answer.content[-1]
    assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "10 degrees"}
    history = [*asked, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    said = await client.messages.create(messages=history, **same)
    assert "10 degrees" in said.content[0].text


async def test_streamed_tools(client, wording: Wording):
    async with client.messages.stream(
        model="tinychat",
        max_tokens=128,
        messages=[{"role": "user", "content": wording.weather}],
        tools=[TOOL],
        extra_body=GREEDY,
        thinking=OFF,
    ) as stream:
        final = await stream.get_final_message()
    assert final.stop_reason == "tool_use"
    assert final.content[-1].input == {"city": "Paris"}


async def test_tool_choice_none(client, wording: Wording):
    answer = await client.messages.create(
        model="tinychat",
        max_tokens=20,
        messages=[{"role": "user", "content": wording.weather}],
        tools=[TOOL],
        tool_choice={"type": "none"},
        extra_body=GREEDY,
        thinking=OFF,
    )
    assert answer.stop_reason != "tool_use"


async def test_count_tokens_is_what_a_message_would_take(client):
    counted = await client.messages.count_tokens(
        model="tinychat", messages=COUNT, system="Be brief.", tools=[TOOL], thinking=OFF
    )
    answer = await client.messages.create(
        model="tinychat", max_tokens=1, messages=COUNT, system="Be brief.", tools=[TOOL], thinking=OFF
    )
    assert counted.input_tokens == answer.usage.input_tokens


async def test_models_are_listed(client):
    assert "tinychat:latest" in [model.id async for model in client.models.list()]


async def test_errors_are_the_clients_own(client):
    with pytest.raises(anthropic.NotFoundError, match="model 'nobody' not found"):
        await client.messages.create(model="nobody", max_tokens=5, messages=COUNT)
    with pytest.raises(anthropic.BadRequestError, match="max_tokens is required and must be positive"):
        await client.messages.create(model="tinychat", max_tokens=0, messages=COUNT)
    with pytest.raises(anthropic.BadRequestError, match="does not support chat"):
        await client.messages.create(model="minilm", max_tokens=5, messages=COUNT)
