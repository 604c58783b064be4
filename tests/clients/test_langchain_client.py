"""``langchain-ollama``, used as its users use it."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from pydantic import BaseModel

from tests.clients.wording import Wording

# these clients have no way to be closed: let each connection end with its answer
CLOSING = {"client_kwargs": {"headers": {"Connection": "close"}}}


@tool
def get_weather(city: str) -> str:
    """Get the current weather of a city."""
    return f"10 degrees in {city}"


class Place(BaseModel):
    """A country."""

    country: str
    capital: str


@pytest.fixture
def chat(base_url: str) -> ChatOllama:
    return ChatOllama(
        model="tinychat", base_url=base_url, temperature=0, reasoning=False, validate_model_on_init=True, **CLOSING
    )


async def test_chat(chat):
    answer = await chat.ainvoke([HumanMessage("Count to 5.")])
    assert "5" in answer.content
    assert answer.response_metadata["done_reason"] == "stop"
    assert answer.usage_metadata["output_tokens"] > 0


async def test_a_stream_says_the_same(chat):
    whole = await chat.ainvoke("Count to 5.")
    assert "".join([part.content async for part in chat.astream("Count to 5.")]) == whole.content


async def test_reasoning_comes_apart(base_url):
    answer = await ChatOllama(model="tinychat", base_url=base_url, reasoning=True, **CLOSING).ainvoke("Count to 5.")
    assert answer.additional_kwargs["reasoning_content"]
    assert "think>" not in answer.content


async def test_a_tool_is_called_and_its_result_answered(chat, wording: Wording):
    with_tools = chat.bind_tools([get_weather])
    question = HumanMessage(wording.weather)
    asked = await with_tools.ainvoke([question])
    (call,) = asked.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    answered = await with_tools.ainvoke([question, asked, result])
    assert isinstance(answered, AIMessage)


async def test_structured_output(chat):
    place = await chat.with_structured_output(Place, method="json_schema").ainvoke("Describe France as JSON.")
    assert isinstance(place, Place)


async def test_text_completion(base_url):
    llm = OllamaLLM(model="tinychat", base_url=base_url, temperature=0, reasoning=False, **CLOSING)
    assert "5" in await llm.ainvoke("Count to 5.")


async def test_embeddings(base_url):
    vectors = await OllamaEmbeddings(model="minilm", base_url=base_url, **CLOSING).aembed_documents(["one", "two"])
    assert [len(vector) for vector in vectors] == [384, 384]


def test_the_synchronous_client(chat):
    assert "5" in chat.invoke("Count to 5.").content
