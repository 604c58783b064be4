from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate.turns import words_of
from vllama.errors import BadRequest
from vllama.translate.openai.requests import ChatCompletionRequest, read_chat
from vllama.translate.pieces import Message, ToolCall

PIXEL = base64.b64encode(b"\x89PNG").decode()
HELLO = {"role": "user", "content": "Hello!"}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "minProperties": 1}}}


def read(*messages: dict, **fields: object) -> ChatCompletionRequest:
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
        (b"", "missing request body"),
        (b"hello", "the request is not valid JSON: Expecting value at character 1"),
        (b"[]", "the request: expected an object, got a list"),
        (
            b'{"model": 5}',
            "model: expected a string, got a number",
        ),
        (
            b'{"messages": "hi"}',
            "messages: expected a list, got a string",
        ),
        (
            b'{"max_tokens": "5"}',
            "max_tokens: expected a whole number, got a string",
        ),
        (
            b'{"logprobs": 2}',
            "logprobs: expected a boolean, got a number",
        ),
        (b"{}", "[] is too short - 'messages'"),
        (b'{"messages": null}', "[] is too short - 'messages'"),
    ],
)
def test_bad_bodies_are_refused_in_plain_words(body, text):
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
    [("none", False), ("minimal", "minimal"), ("low", "low"), ("xhigh", "xhigh"), ("ultra", "max"), ("max", "max")],
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


@pytest.mark.parametrize("schema", [True, False, [], None, {"type": ["object", "null"]}])
def test_schemas_of_tools_that_ollama_can_not_read(schema):
    (tool,) = read(HELLO, tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}]).call.tools
    assert tool["function"]["name"] == "f"


def test_tools_are_passed_on_whole():
    assert read(tools=[TOOL]).call.tools == (TOOL,)


def test_tool_choice_is_honoured_when_there_are_tools():
    named = {"type": "function", "function": {"name": "get_weather"}}
    assert read(tools=[TOOL], tool_choice="required").call.tool_choice == "required"
    assert read(tools=[TOOL], tool_choice=named).call.tool_choice == named
    assert read(tool_choice="required").call.tool_choice is None
    assert read(tools=[TOOL], tool_choice="bogus").call.tool_choice is None


def test_only_allowed_tools_are_offered():
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_weather"}}]}
    call = read(tools=[other, TOOL], tool_choice={"type": "allowed_tools", "allowed_tools": allowed}).call
    assert (call.tool_choice, call.tools) == ("required", (TOOL,))


@pytest.mark.parametrize(("seed", "read_as"), [(-1, -1), (2**64, 2**64), (-(2**70), -(2**70)), (3.0, 3)])
def test_a_seed_may_be_any_whole_number(seed, read_as):
    assert read(seed=seed).call.options["seed"] == read_as
    assert refused(seed="x") == "seed: expected a whole number, got a string"
    assert refused(seed=1.5) == "seed: expected a whole number, got 1.5"


def test_parallel_calls_can_be_forbidden():
    assert read().parallel_calls
    assert not read(parallel_tool_calls=False).parallel_calls


def test_n_answers_unless_they_would_all_be_the_same():
    assert read(n=3).choices == 3
    assert read(n=3, temperature=0).choices == 1
    assert refused(n=0) == "n must be between 1 and 16"


@pytest.mark.parametrize("role", ["user", "system", "assistant"])
def test_parts_of_one_message_stay_one_message(role):
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read({"role": role, "content": parts}).call.messages == (Message(role, "a\nb"),)


def test_a_message_without_any_part_says_nothing():
    assert read({"role": "user", "content": []}).call.messages == ()


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
def test_with_a_list_of_calls_content_is_not_looked_at(content):
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


@pytest.mark.parametrize("arguments", ["not json", '{"city": "Par', "[1]", '"x"', "", None, 5, [1], "null"])
def test_arguments_that_are_no_object_are_an_empty_one(arguments):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    assert read({"role": "assistant", "content": None, "tool_calls": [call]}).call.messages == (
        Message("assistant", tool_calls=(ToolCall("c", 0, "f", {}),)),
    )


def test_arguments_may_be_an_object_already():
    call = {"id": "c", "function": {"name": "f", "arguments": {"city": "Paris"}}}
    assert read({"role": "assistant", "tool_calls": [call]}).call.messages[0].tool_calls[0].arguments == {
        "city": "Paris"
    }


def test_an_answer_may_be_nothing_but_reasoning_or_a_refusal_or_empty():
    assert read(
        {"role": "assistant", "content": None, "reasoning_content": "Hm."},
        {"role": "assistant", "refusal": "I can't.", "content": None},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "assistant"},
        {"role": "tool", "tool_call_id": "c", "content": None},
        HELLO,
    ).call.messages == (
        Message("assistant", thinking="Hm."),
        Message("assistant", "I can't."),
        Message("assistant", "No."),
        Message("assistant"),
        Message("tool", tool_call_id="c"),
        Message("user", "Hello!"),
    )


def test_calls_next_to_an_empty_list_of_parts_are_kept():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert read({"role": "assistant", "content": [], "tool_calls": [call]}).call.messages == (
        Message("assistant", tool_calls=(ToolCall("c", 0, "f", {}),)),
    )


def test_calls_in_the_older_form_and_of_tools_with_free_input():
    free = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    assert read(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}},
        {"role": "function", "name": "f", "content": "2"},
        {"role": "assistant", "content": None, "tool_calls": [free]},
    ).call.messages == (
        Message("assistant", tool_calls=(ToolCall("", 0, "f", {"a": 1}),)),
        Message("tool", "2", tool_name="f"),
        Message("assistant", tool_calls=(ToolCall("c", 0, "patch", {"input": "*** Begin"}),)),
    )


def test_a_file_that_is_text_is_read_and_another_is_refused():
    def part(data: str) -> dict:
        return {"role": "user", "content": [{"type": "file", "file": {"filename": "a.txt", "file_data": data}}]}

    text = base64.b64encode("Grüße".encode()).decode()
    assert read(part(f"data:text/plain;base64,{text}")).call.messages == (Message("user", "a.txt\nGrüße"),)
    for data in (
        "data:application/pdf;base64,JVBERi0=",
        "data:text/plain;base64,%%",
        "data:text/plain;base64,/w==",
        "x",
    ):
        assert refused(part(data)) == "invalid message format"


def test_parts_of_answers_and_results_that_say_nothing_are_left_out():
    odd = [{"type": "output_audio", "id": "a"}, {"type": "text", "text": "10 degrees"}]
    assert read({"role": "tool", "tool_call_id": "c", "content": odd}, HELLO).call.messages[0].content == "10 degrees"


def test_developer_means_system_and_reasoning_content_is_read_too():
    messages = read(
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
    ).call.messages
    assert messages == (Message("system", "Be brief."), Message("assistant", "4", thinking="2+2"))


WORDS = st.text("abcdefgh", min_size=3, max_size=8)
PARTS = st.one_of(
    WORDS.map(lambda w: {"type": "text", "text": w}),
    WORDS.map(lambda w: {"type": "refusal", "refusal": w}),
    WORDS.map(lambda w: {"type": "of_the_future", "text": w}),
)
CALLS = WORDS.map(lambda w: {"id": "c", "function": {"name": "f", "arguments": json.dumps({"a": w})}})
TURNS = st.one_of(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "developer", "user", "tool", "assistant"]),
        WORDS | st.lists(PARTS, min_size=1, max_size=3),
    ),
    st.builds(
        lambda content, reasoning, calls: {
            "role": "assistant",
            "content": content,
            "reasoning_content": reasoning,
            "tool_calls": calls,
        },
        st.none() | WORDS | st.lists(PARTS, max_size=2),
        st.none() | WORDS,
        st.lists(CALLS, max_size=2),
    ),
)


@given(st.lists(TURNS, min_size=1, max_size=5))
def test_no_word_of_any_message_is_lost(turns):
    said = " ".join(words_of(message) for message in read(*turns).call.messages)
    spoken = json.dumps(turns).replace('\\"', '"')
    for word in re.findall(r'"(?:text|refusal|content|reasoning_content|a)": "([a-h]{3,8})"', spoken):
        assert re.search(rf"\b{word}\b", said)


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
