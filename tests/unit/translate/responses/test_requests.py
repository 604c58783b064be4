from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate.turns import words_of
from vllama.errors import BadRequest
from vllama.translate.pieces import Message, ToolCall
from vllama.translate.responses.requests import ResponsesRequest, read_responses

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
        ([{"role": "user", "content": [{"type": ["x"]}]}], "input[0]: content[0]: unknown content type: "),
        ([{"type": 5}], "input[0]: type: expected a string, got a number"),
        ([None], "input[0]: input item missing required 'type' field"),
        (
            ["x"],
            "input[0]: the item: expected an object, got a string",
        ),
        (5, "input must be a string or array"),
        ({}, "input must be a string or array"),
        (
            [{"role": "user", "content": 5}],
            "input[0]: content must be a string or array",
        ),
        ([{"role": "user"}], "input[0]: content must be a string or array"),
    ],
)
def test_inputs_that_are_refused(items, text):
    assert refused(items) == text


@pytest.mark.parametrize("arguments", ["no", "", "{} x", "[]", '{"a": ', None, 5])
def test_arguments_that_are_no_object_are_an_empty_one(arguments):
    assert read([{"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments}]).call.messages == (
        Message("assistant", tool_calls=(ToolCall("c", 0, "f", {}),)),
    )


@pytest.mark.parametrize(
    "item",
    [
        {"type": "golden"},
        {"type": "item_reference", "id": "msg_1"},
        {"id": "msg_1"},
        {"type": "compaction", "encrypted_content": "gAAAA"},
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "x"}},
        {"type": "image_generation_call", "id": "ig_1", "result": "AAAA"},
        {"type": "mcp_list_tools", "server_label": "s", "tools": [TOOL]},
        {"type": "mcp_approval_request", "id": "a", "name": "f", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "mcp_call", "id": "m", "name": "f", "arguments": "{}", "output": None},
        {"type": "ghost_snapshot", "ghost_commit": {"id": "x"}},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABo" * 20},
    ],
)
def test_items_that_say_nothing_here_are_left_out(item):
    assert read([{"role": "user", "content": "x"}, item]).call.messages == (Message("user", "x"),)


@pytest.mark.parametrize(
    ("items", "call", "result"),
    [
        (
            [
                {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin Patch"},
                {"type": "custom_tool_call_output", "call_id": "c", "output": "Done!"},
            ],
            ToolCall("c", 0, "apply_patch", {"input": "*** Begin Patch"}),
            "Done!",
        ),
        (
            [
                {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}},
                {"type": "local_shell_call_output", "id": "c", "output": "a.txt"},
            ],
            ToolCall("c", 0, "local_shell", {"type": "exec", "command": ["ls"]}),
            "a.txt",
        ),
        (
            [
                {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
                {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a.txt", "stderr": "warned"}]},
            ],
            ToolCall("c", 0, "shell", {"commands": ["ls"]}),
            "a.txt\nwarned",
        ),
        (
            [{"type": "mcp_call", "id": "c", "name": "f", "arguments": '{"a": 1}', "output": "found"}],
            ToolCall("c", 0, "f", {"a": 1}),
            "found",
        ),
        (
            [
                {
                    "type": "file_search_call",
                    "id": "c",
                    "queries": ["x"],
                    "results": [{"filename": "a", "text": "b"}],
                }
            ],
            ToolCall("c", 0, "file_search", {"queries": ["x"]}),
            "a\nb",
        ),
        (
            [{"type": "code_interpreter_call", "id": "c", "code": "1+1", "outputs": [{"type": "logs", "logs": "2"}]}],
            ToolCall("c", 0, "code_interpreter", {"code": "1+1"}),
            "2",
        ),
        (
            [
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": {"n": 7}},
            ],
            ToolCall("c", 0, "f", {}),
            '{"n":7}',
        ),
    ],
)
def test_calls_of_every_kind_keep_their_words_and_their_result(items, call, result):
    assert read(items).call.messages == (
        Message("assistant", tool_calls=(call,)),
        Message("tool", result, tool_name=call.name, tool_call_id="c"),
    )


def test_a_picture_in_a_result_is_shown_or_mentioned():
    here, elsewhere = "data:image/png;base64,AAAA", "https://a.example"
    parts = [{"type": "input_image", "image_url": url} for url in (here, elsewhere)]
    assert read([{"type": "function_call_output", "call_id": "c", "output": parts}]).call.messages == (
        Message("tool", "[a picture that can't be shown here]", images=("AAAA",), tool_call_id="c"),
    )


def test_an_unknown_item_with_words_is_a_message():
    words = [{"type": "input_text", "text": "Look at a.py."}]
    assert read([{"type": "agent_message", "author": "a", "content": words}]).call.messages == (
        Message("user", "Look at a.py."),
    )


def test_tools_that_become_known_in_the_input_may_be_called():
    more = {"type": "additional_tools", "role": "developer", "tools": [TOOL, TOOL | {"name": "g"}, {"name": 5}, 5]}
    request = read([{"role": "user", "content": "x"}, more], tools=[TOOL])
    assert [tool["function"]["name"] for tool in request.call.tools] == ["f", "g"]
    assert len(request.call.messages) == 1


def test_refusals_and_texts_of_a_file_are_words():
    file = {"type": "input_file", "filename": "a.md", "file_data": "data:text/markdown;base64,SGk="}
    assert read(
        [
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}, {"type": "golden"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "Read:"}, file]},
        ]
    ).call.messages == (Message("assistant", "No."), Message("user", "Read:\na.md\nHi"))


def test_reasoning_of_other_servers_is_read_where_it_is_not_sealed():
    sealed = "gAAAAABo" * 20
    reasoning = {"type": "reasoning", "encrypted_content": sealed, "summary": [{"type": "summary_text", "text": "Hm."}]}
    open_one = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "So."}]}
    answer = {"role": "assistant", "content": "4"}
    assert read([reasoning, open_one, answer]).call.messages == (Message("assistant", "4", "Hm.\nSo."),)


def test_thoughts_without_an_answer_are_a_turn_before_the_next_user():
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    assert read([reasoning, {"role": "user", "content": "x"}]).call.messages == (
        Message("assistant", thinking="Hm."),
        Message("user", "x"),
    )


WORDS = st.text("abcdefgh", min_size=3, max_size=8)
ITEMS = st.one_of(
    WORDS.map(lambda w: {"role": "user", "content": [{"type": "input_text", "text": w}]}),
    WORDS.map(lambda w: {"role": "developer", "content": w}),
    WORDS.map(lambda w: {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": w}]}),
    WORDS.map(lambda w: {"type": "reasoning", "summary": [{"type": "summary_text", "text": w}]}),
    WORDS.map(lambda w: {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"a": w})}),
    WORDS.map(lambda w: {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": w}),
    WORDS.map(
        lambda w: {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": w}]}
    ),
    WORDS.map(lambda w: {"type": "mcp_call", "id": "m", "name": "f", "arguments": "{}", "output": w}),
    WORDS.map(lambda w: {"type": "of_the_future", "content": [{"type": "whatever", "text": w}]}),
)


@given(st.lists(ITEMS, min_size=1, max_size=8), WORDS)
def test_no_word_of_any_item_is_lost(items, instructions):
    items = [*items, {"role": "assistant", "content": "end"}]  # an answer, so that no thought is left open
    said = " ".join(words_of(message) for message in read(items, instructions=instructions).call.messages)
    for word in re.findall(r"\b[a-h]{3,8}\b", json.dumps([instructions, items])):
        assert re.search(rf"\b{word}\b", said)


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


@pytest.mark.parametrize("schema", [True, False, [], None])
def test_a_schema_without_a_word_is_that_of_any_object(schema):
    inner = {"type": "namespace", "name": "ns", "tools": [TOOL | {"parameters": schema}]}
    tools = read(tools=[TOOL | {"parameters": schema}, inner]).call.tools
    assert [tool["function"]["parameters"] for tool in tools] == [{"type": "object", "properties": {}}] * 2


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
