from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest
from vllama.translate.anthropic_requests import MessagesRequest, read_messages
from vllama.translate.pieces import Message, ToolCall

PIXEL = base64.b64encode(b"\x89PNG").decode()
HELLO = {"role": "user", "content": "Hello!"}
TOOL = {"name": "get_weather", "description": "Get it", "input_schema": {"type": "object", "properties": {}}}


def read(*messages: dict, **fields: object) -> MessagesRequest:
    body = {"model": "m", "max_tokens": 128, "messages": list(messages) or [HELLO]} | fields
    return read_messages(json.dumps(body).encode())


def refused(*messages: dict, **fields: object) -> str:
    with pytest.raises(BadRequest) as caught:
        read(*messages, **fields)
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b"{}", "model is required"),
        (b'{"model": "m"}', "max_tokens is required and must be positive"),
        (b'{"model": "m", "max_tokens": -1}', "max_tokens is required and must be positive"),
        (b'{"model": "m", "max_tokens": 5}', "messages is required"),
        (
            b'{"max_tokens": "5"}',
            "json: cannot unmarshal string into Go struct field MessagesRequest.max_tokens of type int",
        ),
    ],
)
def test_what_is_missing_is_told_in_ollamas_order(body, text):
    with pytest.raises(BadRequest) as caught:
        read_messages(body)
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (5, "number into Go struct field MessagesRequest.messages of type []anthropic.ContentBlock"),
        (["x"], "string into Go struct field MessagesRequest.messages of type anthropic.ContentBlock"),
        ([{"type": 5}], "number into Go struct field MessagesRequest.messages.type of type string"),
        ([{"type": "text", "text": []}], "array into Go struct field MessagesRequest.messages.text of type string"),
    ],
)
def test_content_of_a_wrong_type(content, text):
    assert refused({"role": "user", "content": content}) == f"json: cannot unmarshal {text}"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("x", "json: cannot unmarshal string into Go value of type api.ToolFunctionParameters"),
        (
            {"type": 5},
            "json: cannot unmarshal number into Go struct field ToolFunctionParameters.type of type string",
        ),
        ({"properties": []}, "Value looks like object, but can't find closing '}' symbol"),
    ],
)
def test_a_tools_schema_of_a_wrong_type(schema, text):
    assert refused(tools=[{"name": "f", "input_schema": schema}]) == f'invalid input_schema for tool "f": {text}'


@pytest.mark.parametrize("content", ["", [], [{"type": "golden"}], [{"type": "text", "text": ""}]])
def test_a_message_that_says_nothing_is_no_turn(content):
    assert read({"role": "user", "content": content}).call.messages == ()
    assert read({"role": "user", "content": content}, HELLO).call.messages == (Message("user", "Hello!"),)


def test_counting_needs_no_max_tokens():
    body = json.dumps({"model": "m", "messages": [HELLO]}).encode()
    assert read_messages(body, counting=True).call.messages == (Message("user", "Hello!"),)


def test_options_are_only_what_was_given():
    assert read().call.options == {"num_predict": 128}
    assert read(temperature=0, top_k=5, stop_sequences=["x"]).call.options == {
        "temperature": 0,
        "top_k": 5,
        "num_predict": 128,
        "stop": ["x"],
    }


def test_system_is_a_string_or_blocks():
    blocks = [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]
    for system in ("Be brief.", blocks):
        assert read(system=system).call.messages == (Message("system", "Be brief."), Message("user", "Hello!"))


def test_texts_of_a_message_are_joined_and_unknown_blocks_skipped():
    odd = [{"type": "golden"}, {}, None]
    blocks = [*odd, {"type": "text", "text": "a "}, {"type": "text", "text": "b"}]
    assert read({"role": "user", "content": blocks}).call.messages == (Message("user", "a b"),)


def test_results_of_tools_go_before_the_text_of_their_turn():
    messages = read(
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Paris"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And?"},
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "10"}]},
            ],
        },
    ).call.messages
    assert messages == (
        Message("assistant", "", "hm", tool_calls=(ToolCall("toolu_1", 0, "f", {"city": "Paris"}),)),
        Message("tool", "10", tool_name="f", tool_call_id="toolu_1"),
        Message("user", "And?"),
    )


def test_a_turn_of_results_alone_has_no_empty_message():
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "10"}
    assert [m.role for m in read({"role": "user", "content": [result]}).call.messages] == ["tool"]


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "image"}, "invalid image source"),
        (
            {"type": "image", "source": {"type": "url", "url": "http://x"}},
            "invalid image source type: url. Only base64 images are supported.",
        ),
        ({"type": "tool_use", "name": "f"}, "tool_use block missing required 'id' field"),
        ({"type": "tool_use", "id": "x"}, "tool_use block missing required 'name' field"),
    ],
)
def test_blocks_that_are_refused(block, text):
    assert refused({"role": "assistant", "content": [block]}) == text


def test_images_are_base64():
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    assert read({"role": "user", "content": [block]}).call.messages[0].images == (PIXEL,)
    assert refused(
        {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "%"}}]}
    ).startswith("invalid base64 image data")


@pytest.mark.parametrize(
    ("fields", "think"),
    [
        ({}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, True),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, False),
        ({"output_config": {"effort": "low"}}, "low"),
        ({"output_config": {"effort": "xhigh"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
    ],
)
def test_thinking(fields, think):
    assert read(**fields).call.think == think


def test_tools_become_functions_and_those_that_a_server_runs_are_left_out():
    (tool,) = read(tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}]).call.tools
    assert tool == {
        "type": "function",
        "function": {"name": "get_weather", "description": "Get it", "parameters": TOOL["input_schema"]},
    }
    assert refused(tools=[TOOL | {"input_schema": 5}]).startswith('invalid input_schema for tool "get_weather": ')


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "get_weather"}, {"type": "function", "function": {"name": "get_weather"}}),
    ],
)
def test_tool_choice_is_honoured(choice, meant):
    assert read(tools=[TOOL], tool_choice=choice).call.tool_choice == meant


def test_structured_output():
    schema = {"type": "object"}
    assert read(output_config={"format": {"type": "json_schema", "schema": schema}}).call.format == schema
    assert read(output_config={"effort": "low"}).call.format is None


def test_parallel_calls_can_be_forbidden():
    assert not read(tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}).parallel_calls


def test_the_estimate_is_characters_by_four():
    assert read().input_estimate == 2
    assert read({"role": "user", "content": "Count to 20."}).input_estimate == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "id", "x"]), inner),
    max_leaves=6,
)
BLOCK = st.dictionaries(
    st.sampled_from(["type", "text", "id", "name", "input", "source", "content", "tool_use_id"]),
    JSON | st.sampled_from(["text", "image", "tool_use", "tool_result", "thinking"]),
)


@given(
    st.lists(st.fixed_dictionaries({"role": JSON, "content": JSON | st.lists(BLOCK, max_size=3)}), max_size=2),
    st.dictionaries(st.sampled_from(["system", "tools", "tool_choice", "thinking", "output_config"]), JSON),
)
def test_any_json_is_read_or_refused_with_a_reason(messages, fields):
    try:
        read(*messages, **fields)
    except BadRequest as error:
        assert error.message  # noqa: PT017 - either way is right
