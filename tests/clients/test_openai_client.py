"""The official ``openai`` client, used as its users use it."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator

import openai
import pytest
from pydantic import BaseModel

from tests.clients.wording import Wording

COUNT = [{"role": "user", "content": "Count to 5."}]
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
CALM = {"temperature": 0, "reasoning_effort": "none"}


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=0) as made:
        yield made


async def test_chat(client):
    answer = await client.chat.completions.create(model="tinychat", messages=COUNT, **CALM)
    assert answer.choices[0].message.role == "assistant"
    assert "1" in answer.choices[0].message.content
    assert "5" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "tinychat"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens > 1


async def test_streamed_chat_says_the_same_and_reports_usage_at_the_end(client):
    whole = await client.chat.completions.create(model="tinychat", messages=COUNT, **CALM)
    stream = await client.chat.completions.create(
        model="tinychat", messages=COUNT, stream=True, stream_options={"include_usage": True}, **CALM
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert sum(bool(c.choices and c.choices[0].delta.content) for c in chunks) > 3
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({c.id for c in chunks}) == 1


async def test_ids_are_unique(client):
    ids = set()
    for _ in range(5):
        answer = await client.chat.completions.create(model="tinychat", messages=COUNT, max_tokens=1, **CALM)
        ids.add(answer.id)
    assert len(ids) == 5


async def test_max_completion_tokens(client):
    answer = await client.chat.completions.create(model="tinychat", messages=COUNT, max_completion_tokens=3, **CALM)
    assert answer.usage.completion_tokens == 3
    assert answer.choices[0].finish_reason == "length"


async def test_stop(client):
    answer = await client.chat.completions.create(model="tinychat", messages=COUNT, stop=["4"], **CALM)
    assert "3" in answer.choices[0].message.content
    assert "4" not in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


async def test_several_choices(client):
    answer = await client.chat.completions.create(
        model="tinychat", messages=COUNT, n=3, temperature=0.1, seed=1, reasoning_effort="none"
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.message.content for choice in answer.choices)


async def test_several_choices_streamed(client):
    stream = await client.chat.completions.create(
        model="tinychat", messages=COUNT, n=2, temperature=0.1, stream=True, reasoning_effort="none"
    )
    texts = {0: "", 1: ""}
    reasons = {}
    async for chunk in stream:
        (choice,) = chunk.choices
        texts[choice.index] += choice.delta.content or ""
        if choice.finish_reason:
            reasons[choice.index] = choice.finish_reason
    assert all(texts.values())
    assert set(reasons) == {0, 1}


async def test_reasoning_comes_apart(client):
    answer = await client.chat.completions.create(
        model="tinychat", messages=COUNT, temperature=0, reasoning_effort="high"
    )
    assert answer.choices[0].message.reasoning
    assert "think>" not in answer.choices[0].message.content


async def test_tools(client, wording: Wording):
    asked = [{"role": "user", "content": wording.weather}]
    answer = await client.chat.completions.create(model="tinychat", messages=asked, tools=[TOOL], **CALM)
    (call,) = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "10 degrees"}
    history = [*asked, answer.choices[0].message.model_dump(exclude_none=True), result]
    said = await client.chat.completions.create(model="tinychat", messages=history, tools=[TOOL], **CALM)
    assert "10 degrees" in said.choices[0].message.content


async def test_streamed_tools(client, wording: Wording):
    stream = await client.chat.completions.create(
        model="tinychat",
        messages=[{"role": "user", "content": wording.weather}],
        tools=[TOOL],
        stream=True,
        **CALM,
    )
    calls, reasons = [], []
    async for chunk in stream:
        calls += chunk.choices[0].delta.tool_calls or []
        reasons.append(chunk.choices[0].finish_reason)
    (call,) = calls
    assert (call.index, call.function.name, reasons[-1]) == (0, "get_weather", "tool_calls")
    assert json.loads(call.function.arguments) == {"city": "Paris"}


async def test_tool_choice_none(client, wording: Wording):
    answer = await client.chat.completions.create(
        model="tinychat",
        messages=[{"role": "user", "content": wording.weather}],
        tools=[TOOL],
        tool_choice="none",
        max_tokens=20,
        **CALM,
    )
    assert not answer.choices[0].message.tool_calls


class Place(BaseModel):
    country: str
    capital: str


async def test_structured_output(client):
    answer = await client.chat.completions.parse(
        model="tinychat",
        messages=[{"role": "user", "content": "Describe France as JSON."}],
        response_format=Place,
        **CALM,
    )
    assert isinstance(answer.choices[0].message.parsed, Place)


async def test_logprobs(client):
    answer = await client.chat.completions.create(
        model="tinychat", messages=COUNT, logprobs=True, top_logprobs=2, **CALM
    )
    entries = answer.choices[0].logprobs.content
    assert "".join(entry.token for entry in entries) == answer.choices[0].message.content
    assert all(1 <= len(entry.top_logprobs) <= 2 and entry.logprob <= 0 for entry in entries)


async def test_text_completion(client):
    answer = await client.completions.create(model="tinychat", prompt="Count to 5.", temperature=0, logprobs=1)
    (choice,) = answer.choices
    assert "5" in choice.text
    assert "".join(choice.logprobs.tokens).strip() == choice.text.strip()
    assert answer.usage.completion_tokens > 0


async def test_streamed_text_completion(client):
    stream = await client.completions.create(
        model="tinychat", prompt="Count to 5.", temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "5" in "".join(c.choices[0].text for c in chunks if c.choices)
    assert chunks[-1].usage.completion_tokens > 0


async def test_models(client):
    names = [model.id async for model in client.models.list()]
    assert "tinychat:latest" in names
    model = await client.models.retrieve("tinychat")
    assert (model.id, model.owned_by) == ("tinychat", "library")


async def test_embeddings(client):
    answer = await client.embeddings.create(model="minilm", input=["one", "two"])
    first, second = (entry.embedding for entry in answer.data)
    assert len(first) == len(second) >= 8
    assert sum(x * x for x in first) == pytest.approx(1, abs=1e-3)
    assert answer.usage.prompt_tokens > 0
    raw = await client.embeddings.create(model="minilm", input="one", encoding_format="base64")
    text = raw.data[0].embedding
    packed = base64.b64decode(text)
    assert struct.unpack(f"<{len(packed) // 4}f", packed) == pytest.approx(first, abs=1e-4)
    short = await client.embeddings.create(model="minilm", input="one", dimensions=4, encoding_format="float")
    assert len(short.data[0].embedding) == 4


async def test_responses(client):
    answer = await client.responses.create(
        model="tinychat", input="Count to 5.", temperature=0, reasoning={"effort": "none"}
    )
    assert "5" in answer.output_text
    assert answer.status == "completed"
    assert answer.usage.output_tokens > 0


async def test_streamed_responses(client):
    async with client.responses.stream(model="tinychat", input="Count to 5.", temperature=0) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.reasoning_summary_text.delta" in kinds
    assert "5" in final.output_text


async def test_responses_with_a_tool(client, wording: Wording):
    tool = {"type": "function", **TOOL["function"]}
    asked = [{"role": "user", "content": wording.weather}]
    calm = {"temperature": 0, "reasoning": {"effort": "none"}}
    answer = await client.responses.create(model="tinychat", input=asked, tools=[tool], **calm)
    (call,) = answer.output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Paris"})
    history = [*asked, call.model_dump(), {"type": "function_call_output", "call_id": call.call_id, "output": "9 °C"}]
    said = await client.responses.create(model="tinychat", input=history, tools=[tool], max_output_tokens=20, **calm)
    assert said.output_text


async def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError, match="model 'nobody' not found"):
        await client.chat.completions.create(model="nobody", messages=COUNT)
    with pytest.raises(openai.NotFoundError, match="model 'nobody:latest' not found"):
        await client.models.retrieve("nobody")
    with pytest.raises(openai.NotFoundError, match="model 'nobody' not found"):
        await client.chat.completions.create(model="nobody", messages=COUNT, stream=True)


async def test_wrong_requests_are_bad_requests(client):
    with pytest.raises(openai.BadRequestError, match="too short"):
        await client.chat.completions.create(model="tinychat", messages=[])
    with pytest.raises(openai.BadRequestError, match="does not support chat"):
        await client.chat.completions.create(model="minilm", messages=COUNT)
    with pytest.raises(openai.BadRequestError, match="top_logprobs must be between 0 and 20"):
        await client.chat.completions.create(model="tinychat", messages=COUNT, logprobs=True, top_logprobs=21)


def test_the_synchronous_client(base_url):
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key="any") as client:
        stream = client.chat.completions.create(model="tinychat", messages=COUNT, stream=True, **CALM)
        assert "5" in "".join(chunk.choices[0].delta.content or "" for chunk in stream)
