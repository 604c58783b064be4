"""Chunks that are written without pydantic: the same bytes as the models', for whatever vLLM puts into them."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from vllama_engine import chat_chunks, plain_chunks, text_chunks
from vllama_engine.changing import Unfit, digest

from tests.unit.engine.plugin.generators import OpenAIServingChat, OpenAIServingCompletion


class Open(BaseModel):
    """As vLLM's: takes fields that it does not know."""

    model_config = ConfigDict(extra="allow")


class Delta(Open):
    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    tool_calls: list[str] = []


class Choice(Open):
    index: int
    delta: Delta
    logprobs: dict[str, int] | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None


class TextChoice(Open):
    index: int
    text: str
    logprobs: dict[str, int] | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None


class Chunk(Open):
    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    usage: dict[str, int] | None = None
    system_fingerprint: str | None = None
    prompt_token_ids: list[int] | None = None


class TextChunk(Chunk):
    choices: list[TextChoice]  # type: ignore[assignment]


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NOTHING_OR = st.none()
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": NOTHING_OR | TEXT,
        "role": TEXT,
        "reasoning": TEXT,
        "tool_calls": st.lists(TEXT, max_size=1),
        "new": TEXT,
    },
)
PARTS = st.builds(
    lambda logprobs, end, ids: {"logprobs": logprobs, **end, "token_ids": ids},
    NOTHING_OR | st.just({"a": 1}),
    st.sampled_from([{"finish_reason": None}, {"finish_reason": "stop", "stop_reason": 7}]),
    NOTHING_OR | st.lists(st.integers(0, 99)),
)
"""Fields of a choice, in the order of the model."""
MORE = st.fixed_dictionaries({}, optional={"prompt_token_ids": NOTHING_OR | st.lists(st.integers(0, 99))})
LATER = st.fixed_dictionaries({}, optional={"usage": st.just({"total_tokens": 1}), "system_fingerprint": st.just("f")})
AROUND = st.tuples(MORE, LATER)
"""Fields of a chunk, and what vLLM sets when it has made it."""


def chat_names() -> SimpleNamespace:
    """What a chat's generator finds in its module."""
    return SimpleNamespace(
        OpenAIServingChat=OpenAIServingChat,
        DeltaMessage=Delta,
        ChatCompletionResponseStreamChoice=Choice,
        ChatCompletionStreamResponse=Chunk,
    )


def text_names() -> SimpleNamespace:
    return SimpleNamespace(
        OpenAIServingCompletion=OpenAIServingCompletion,
        CompletionResponseStreamChoice=TextChoice,
        CompletionStreamResponse=TextChunk,
    )


@pytest.fixture(scope="module")
def chat() -> SimpleNamespace:
    names = chat_names()
    chat_chunks.change(names)
    return names


@pytest.fixture(scope="module")
def text() -> SimpleNamespace:
    names = text_names()
    text_chunks.change(names)
    return names


def written(chunk: Any, later: dict[str, Any]) -> str:
    for name, value in later.items():
        setattr(chunk, name, value)
    said: str = chunk.model_dump_json(exclude_unset=True)
    return said


def of_chat(names: SimpleNamespace, delta: Any, fields: dict[str, Any], more: dict[str, Any]) -> Any:
    choice = names.ChatCompletionResponseStreamChoice(index=0, delta=delta, **fields)
    return names.ChatCompletionStreamResponse(id="é", object="o", created=1, choices=[choice], model="m", **more)


@given(DELTAS, PARTS, AROUND, st.booleans())
def test_a_chats_chunk_is_written_as_the_models_write_it(chat, delta, fields, around, by_parser):
    more, later = around
    models = chat_names()
    # vLLM's parsers make deltas of the model; what has no parser is made by the name in the module
    made = Delta(**delta) if by_parser else chat.DeltaMessage(**delta)
    found = written(of_chat(chat, made, fields, more), later)
    assert found == written(of_chat(models, Delta(**delta), fields, more), later)


@given(TEXT, PARTS, AROUND)
def test_a_texts_chunk_is_written_as_the_models_write_it(text, said, fields, around):
    more, later = around

    def chunk(names: SimpleNamespace) -> Any:
        choice = names.CompletionResponseStreamChoice(index=0, text=said, **fields)
        return names.CompletionStreamResponse(id="i", object="o", created=1, model="m", choices=[choice], **more)

    assert written(chunk(text), later) == written(chunk(text_names()), later)


def test_a_chunk_of_text_alone_makes_no_model(chat):
    choice = chat.ChatCompletionResponseStreamChoice(
        index=0, delta=chat.DeltaMessage(content="a"), logprobs=None, finish_reason=None, token_ids=None
    )
    chunk = chat.ChatCompletionStreamResponse(id="i", object="o", created=1, choices=[choice], model="m")
    assert (type(choice), type(chunk)) == (plain_chunks.Choice, plain_chunks.Chunk)


def test_vllm_reads_of_a_choice_and_a_delta_what_it_reads_of_the_models(chat):
    delta = chat.DeltaMessage(content="a")
    assert (delta.content, delta.reasoning, list(delta.tool_calls)) == ("a", None, [])
    choice = chat.ChatCompletionResponseStreamChoice(index=0, delta=delta, logprobs=None, finish_reason="stop")
    assert (choice.finish_reason, list(choice.tool_calls)) == ("stop", [])


def test_the_usage_at_the_end_of_an_answer_has_its_model(chat):
    chunk = chat.ChatCompletionStreamResponse(id="i", object="o", created=1, choices=[], model="m", usage={"a": 1})
    assert type(chunk) is Chunk


@pytest.mark.parametrize(("change", "names"), [(chat_chunks, chat_names()), (text_chunks, text_names())])
def test_a_vllm_that_streams_in_another_way_is_left_alone(change, names):
    before = dict(vars(names))
    with pytest.raises(Unfit, match="in another way"):
        change.apply(names)
    assert vars(names) == before


def test_a_functions_digest_changes_with_its_source():
    assert re.fullmatch("[0-9a-f]{16}", digest(OpenAIServingChat.chat_completion_stream_generator))
    assert digest(OpenAIServingChat.chat_completion_stream_generator) != digest(written)
    assert digest(len) == ""
