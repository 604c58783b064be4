from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest
from vllama.translate.openai_requests import ChatRequest, read_chat
from vllama.translate.pieces import Message, ToolCall

PIXEL = base64.b64encode(b"\x89PNG").decode()
HELLO = {"role": "user", "content": "Hello!"}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "minProperties": 1}}}


def read(*messages: dict, **fields: object) -> ChatRequest:
    return read_chat(json.dumps({"model": "m", "messages": list(messages) or [HELLO]} | fields).encode())


def refused(*messages: dict, **fields: object) -> str:
    with pytest.raises(BadRequest) as caught:
        read(*messages, **fields)
    return caught.value.message


def image(url: object) -> dict:
    return {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": url}]}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b"hello", "invalid character 'h' looking for beginning of value"),
        (b"[]", "json: cannot unmarshal array into Go value of type openai.ChatCompletionRequest"),
        (
            b'{"model": 5}',
            "json: cannot unmarshal number into Go struct field ChatCompletionRequest.model of type string",
        ),
        (
            b'{"messages": "hi"}',
            (
                "json: cannot unmarshal string into Go struct field ChatCompletionRequest.messages "
                "of type []openai.Message"
            ),
        ),
        (
            b'{"max_tokens": "5"}',
            "json: cannot unmarshal string into Go struct field ChatCompletionRequest.max_tokens of type int",
        ),
        (
            b'{"logprobs": 2}',
            "json: cannot unmarshal number into Go struct field ChatCompletionRequest.logprobs of type bool",
        ),
        (b"{}", "[] is too short - 'messages'"),
        (b'{"messages": null}', "[] is too short - 'messages'"),
    ],
)
def test_bad_bodies_get_gos_words(body, text):
    with pytest.raises(BadRequest) as caught:
        read_chat(body)
    assert caught.value.message == text


def test_temperature_and_top_p_are_one_unless_given():
    assert read().call.options == {"temperature": 1.0, "top_p": 1.0}
    assert read(temperature=0, top_p=0.5, seed=7).call.options == {"temperature": 0, "top_p": 0.5, "seed": 7}


def test_max_completion_tokens_is_the_younger_name_and_wins():
    assert read(max_tokens=5).call.options["num_predict"] == 5
    assert read(max_completion_tokens=3).call.options["num_predict"] == 3
    assert read(max_tokens=5, max_completion_tokens=3).call.options["num_predict"] == 3


def test_stops_are_a_string_or_a_list_whose_other_members_are_skipped():
    assert read(stop="END").call.options["stop"] == ["END"]
    assert read(stop=[5, " 7"]).call.options["stop"] == [" 7"]


def test_native_fields_are_dropped():
    call = read(options={"num_predict": 1}, keep_alive="1d", format="xml", think="bogus").call
    assert call == read().call


def test_vllms_own_sampling_fields_work():
    call = read(top_k=-7, min_p=0.1, repetition_penalty=1.1, logit_bias={"5": 1}, min_tokens=2).call
    assert call.options == {"temperature": 1.0, "top_p": 1.0, "top_k": -7, "min_p": 0.1, "repeat_penalty": 1.1}
    assert call.engine_fields == {"logit_bias": {"5": 1}, "min_tokens": 2}
    assert read(top_k="many").call == read().call


@pytest.mark.parametrize(
    ("effort", "think"),
    [("none", False), ("minimal", "low"), ("low", "low"), ("medium", "medium"), ("xhigh", "max"), ("ultra", "max")],
)
def test_efforts_become_think(effort, think):
    assert read(reasoning_effort=effort).call.think == think
    assert read(reasoning={"effort": effort}).call.think == think


def test_no_effort_is_the_models_default():
    assert read().call.think is None
    assert read(reasoning_effort="").call.think is None


def test_an_unknown_effort_is_refused():
    assert refused(reasoning={"effort": "bogus"}) == (
        'invalid reasoning value: "bogus" '
        '(must be "minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none")'
    )


def test_response_formats():
    schema = {"type": "object"}
    assert read(response_format={"type": "json_object"}).call.format == "json"
    assert read(response_format={"type": "json_schema", "json_schema": {"schema": schema}}).call.format == schema
    assert read(response_format={"type": "json_schema"}).call.format is None
    assert read(response_format={"type": "text"}).call.format is None


def test_tools_are_passed_on_whole():
    assert read(tools=[TOOL]).call.tools == (TOOL,)


def test_tool_choice_is_honoured_when_there_are_tools():
    named = {"type": "function", "function": {"name": "get_weather"}}
    assert read(tools=[TOOL], tool_choice="required").call.tool_choice == "required"
    assert read(tools=[TOOL], tool_choice=named).call.tool_choice == named
    assert read(tool_choice="required").call.tool_choice is None
    assert refused(tools=[TOOL], tool_choice="bogus").startswith("invalid tool_choice")


def test_parallel_calls_can_be_forbidden():
    assert read().parallel_calls
    assert not read(parallel_tool_calls=False).parallel_calls


def test_n_answers_unless_they_would_all_be_the_same():
    assert read(n=3).choices == 3
    assert read(n=3, temperature=0).choices == 1
    assert refused(n=0) == "n must be between 1 and 16"


def test_parts_of_text_become_messages_of_their_own():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read({"role": "user", "content": parts}).call.messages == (Message("user", "a"), Message("user", "b"))


def test_text_and_image_stay_one_message():
    (message,) = read(image({"url": f"data:image/png;base64,{PIXEL}"})).call.messages
    assert (message.content, message.images) == ("See", (PIXEL,))
    assert read(image(f"data:;base64,{PIXEL}")).call.messages[0].images == (PIXEL,)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "https://example.com/x.png",
            "image URLs are not currently supported, please use base64 encoded data instead",
        ),
        ("data:image/gif;base64,aaaa", "invalid image input"),
        ("data:image/png;base64,%%%", "invalid image input"),
        ("aaaa", "invalid image input"),
        (5, "invalid message format"),
    ],
)
def test_images_that_are_refused(url, text):
    assert refused(image({"url": url})) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "invalid message content type: <nil>"),
        (5, "invalid message content type: float64"),
        (True, "invalid message content type: bool"),
        ({"text": "x"}, "invalid message content type: map[string]interface {}"),
        (["Hello!"], "invalid message format"),
        ([{"type": "video"}], "invalid message format"),
        ([{"type": ["text"], "text": "x"}], "invalid message format"),
        ([{"type": "text", "text": 5}], "invalid message format"),
        ([{"type": "input_audio", "input_audio": {"data": "x"}}], "audio input is not supported"),
    ],
)
def test_contents_that_are_refused(content, text):
    assert refused({"role": "user", "content": content}) == text


@pytest.mark.parametrize("content", [None, 5, {}])
def test_beside_a_list_of_calls_content_is_not_looked_at(content):
    turn = {"role": "assistant", "content": content, "tool_calls": []}
    assert read_chat(json.dumps({"model": "m", "messages": [turn]}).encode()).call.messages == (Message("assistant"),)


@pytest.mark.parametrize("kind", ["json_object", " JSON_Object "])
def test_the_type_of_a_format_is_read_without_case_and_blanks(kind):
    assert read(response_format={"type": kind}).call.format == "json"


def test_a_tool_conversation():
    asked = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}
    messages = read(
        {"role": "assistant", "content": None, "tool_calls": [asked], "reasoning": "hm"},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "10"}]},
    ).call.messages
    assert messages == (
        Message("assistant", thinking="hm", tool_calls=(ToolCall("call_1", 0, "f", {"city": "Paris"}),)),
        Message("tool", "10", tool_name="f", tool_call_id="call_1"),
    )


def test_arguments_must_be_the_text_of_an_object():
    for arguments in ("not json", "[1]", '"x"', ""):
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
        assert refused({"role": "assistant", "tool_calls": [call]}) == "invalid tool call arguments"


def test_developer_means_system_and_reasoning_content_is_read_too():
    messages = read(
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
    ).call.messages
    assert messages == (Message("system", "Be brief."), Message("assistant", "4", thinking="2+2"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["model", "messages", "stream", "stop", "tools", "tool_choice", "n", "reasoning", "response_format", "top_p"]
)


@given(st.dictionaries(FIELDS, JSON), st.lists(st.fixed_dictionaries({"role": JSON, "content": JSON}), max_size=2))
def test_any_json_is_read_or_refused_with_a_reason(fields, messages):
    try:
        read_chat(json.dumps({"messages": messages} | fields).encode())
    except BadRequest as error:
        assert error.message  # noqa: PT017 - either way is right
