from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest
from vllama.translate.pieces import Message, ToolCall
from vllama.translate.responses_requests import ResponsesRequest, read_responses

TOOL = {"type": "function", "name": "f", "description": "Do it", "parameters": {"type": "object"}}


def read(given: object = "Hello!", **fields: object) -> ResponsesRequest:
    return read_responses(json.dumps({"model": "m", "input": given} | fields).encode())


def refused(given: object = "Hello!", **fields: object) -> str:
    with pytest.raises(BadRequest) as caught:
        read(given, **fields)
    return caught.value.message


def test_a_string_is_one_user_message():
    assert read().call.messages == (Message("user", "Hello!"),)


def test_instructions_come_first():
    assert read(instructions="Be brief.").call.messages[0] == Message("system", "Be brief.")


def test_no_input_only_loads():
    for given_input in (None, "", []):
        assert read(given_input, instructions="Be brief.").call.messages == ()


def test_top_p_is_the_models_unless_given():
    assert read().call.options == {"temperature": 1.0}
    assert read(temperature=0, top_p=0.5, max_output_tokens=9).call.options == {
        "temperature": 0,
        "top_p": 0.5,
        "num_predict": 9,
    }


def test_items_become_turns_and_calls_join_their_assistant():
    messages = read(
        [
            {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
            {"type": "reasoning", "encrypted_content": "Use the tool."},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So:"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"city": "Paris"}'},
            {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
            {"type": "web_search_call", "id": "x"},
            {"type": "function_call_output", "call_id": "c1", "output": "10 degrees"},
            {"role": "developer", "content": "Be brief."},
        ]
    ).call.messages
    assert messages == (
        Message("user", "Weather?"),
        Message(
            "assistant",
            "So:",
            "Use the tool.",
            tool_calls=(ToolCall("c1", 0, "f", {"city": "Paris"}), ToolCall("c2", 1, "g", {})),
        ),
        Message("tool", "10 degrees", tool_name="f", tool_call_id="c1"),
        Message("system", "Be brief."),
    )


def test_reasoning_before_a_call_belongs_to_the_calls_turn():
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    assert read([reasoning, call]).call.messages == (
        Message("assistant", thinking="Hm.", tool_calls=(ToolCall("c1", 0, "f", {}),)),
    )


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([{"role": "user", "content": [{"type": "input_file"}]}], "file inputs are not currently supported"),
        ([{"role": "user", "content": [{"type": "golden"}]}], "input[0]: content[0]: unknown content type: golden"),
        ([{"golden": 1}], "input[0]: input item missing required 'type' field"),
        (
            [{"role": "user", "content": "x"}, {"type": "golden"}],
            'input[1]: unknown input item type: "golden"',
        ),
        ([{"role": "user", "content": [{"type": ["x"]}]}], "input[0]: content[0]: unknown content type: "),
        ([{"type": 5}], "input[0]: json: cannot unmarshal number into Go struct field .type of type string"),
        ([None], "input[0]: input item missing required 'type' field"),
        (
            ["x"],
            (
                "input[0]: json: cannot unmarshal string into Go value of type "
                r'struct { Type string "json:\"type\""; Role string "json:\"role\"" }'
            ),
        ),
        (5, "input must be a string or array: json: cannot unmarshal number into Go value of type []json.RawMessage"),
        ({}, "input must be a string or array: json: cannot unmarshal object into Go value of type []json.RawMessage"),
        (
            [{"role": "user", "content": 5}],
            (
                "input[0]: content must be a string or array: "
                "json: cannot unmarshal number into Go value of type []json.RawMessage"
            ),
        ),
        ([{"role": "user"}], "input[0]: content must be a string or array: unexpected end of JSON input"),
        (
            [{"type": "function_call", "arguments": "no"}],
            "failed to parse function call arguments: invalid character 'o' in literal null (expecting 'u')",
        ),
        (
            [{"type": "function_call", "arguments": ""}],
            "failed to parse function call arguments: unexpected end of JSON input",
        ),
        (
            [{"type": "function_call", "arguments": "{} x"}],
            "failed to parse function call arguments: invalid character 'x' after top-level value",
        ),
        (
            [{"type": "function_call", "arguments": "[]"}],
            "failed to parse function call arguments: Value looks like object, but can't find closing '}' symbol",
        ),
        (
            [{"type": "function_call", "arguments": {}}],
            (
                "input[0]: json: cannot unmarshal object into Go struct field ResponsesFunctionCall.arguments "
                "of type string"
            ),
        ),
    ],
)
def test_inputs_that_are_refused(items, text):
    assert refused(items) == text


def test_formats():
    schema = {"type": "object"}
    assert read(text={"format": {"type": "json_schema", "name": "x", "schema": schema}}).call.format == schema
    assert read(text={"format": {"type": "json_object"}}).call.format == "json"
    assert read(text={"format": {"type": "text"}}).call.format is None


def test_tools_are_flat_or_in_namespaces_and_those_that_a_server_runs_are_left_out():
    namespace = {"type": "namespace", "name": "ns", "tools": [TOOL]}
    request = read(tools=[TOOL, namespace, {"type": "web_search"}])
    assert [tool["function"]["name"] for tool in request.call.tools] == ["f", "ns.f"]
    assert request.echo.tools[0] == TOOL | {"strict": None}


def test_tool_choice_is_honoured_and_echoed():
    request = read(tools=[TOOL], tool_choice={"type": "function", "name": "f"})
    assert request.call.tool_choice == {"type": "function", "function": {"name": "f"}}
    assert request.echo.tool_choice == {"type": "function", "name": "f"}
    assert read(tool_choice="required").echo.tool_choice == "auto"


def test_the_answer_repeats_what_was_asked():
    echo = read(reasoning={"effort": "none"}, temperature=1.0, max_output_tokens=5, metadata={"a": "b"}).echo
    assert (echo.reasoning, echo.temperature, echo.max_output_tokens) == ({"effort": "none"}, 1, 5)
    assert echo.metadata == {"a": "b"}
    assert echo.text == {"format": {"type": "text"}}


ITEM = st.dictionaries(
    st.sampled_from(["type", "role", "content", "call_id", "arguments", "output", "summary", "name"]),
    st.none()
    | st.integers(0, 3)
    | st.text(max_size=4)
    | st.sampled_from(["message", "user", "assistant", "function_call", "function_call_output", "reasoning", "{}"])
    | st.lists(st.dictionaries(st.sampled_from(["type", "text"]), st.sampled_from(["input_text", "x", 5])), max_size=2),
)


@given(st.lists(ITEM, max_size=4))
def test_any_items_are_read_or_refused_with_a_reason(items):
    try:
        read(items)
    except BadRequest as error:
        assert error.message  # noqa: PT017 - either way is right
