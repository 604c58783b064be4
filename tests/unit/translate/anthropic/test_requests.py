from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate.turns import words_of
from vllama.errors import BadRequest
from vllama.translate.anthropic.requests import MessagesRequest, read_messages
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
        (b"", "missing request body"),
        (b"{}", "model is required"),
        (b'{"model": "m"}', "max_tokens is required and must be positive"),
        (b'{"model": "m", "max_tokens": -1}', "max_tokens is required and must be positive"),
        (b'{"model": "m", "max_tokens": 5}', "messages is required"),
        (
            b'{"max_tokens": "5"}',
            "max_tokens: expected a whole number, got a string",
        ),
    ],
)
def test_what_is_missing_is_reported_in_ollamas_order(body, text):
    with pytest.raises(BadRequest) as caught:
        read_messages(body)
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (5, ": expected a string or a list of blocks, got a number"),
        (["x"], "[0]: expected an object, got a string"),
        ([{"type": 5}], "[0].type: expected a string, got a number"),
        ([{"type": "text", "text": []}], "[0].text: expected a string, got a list"),
    ],
)
def test_content_of_a_wrong_type(content, text):
    assert refused({"role": "user", "content": content}) == f"messages[0].content{text}"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("x", "the schema: expected an object, got a string"),
        (
            {"type": 5},
            "type: expected a string or a list of strings, got a number",
        ),
        ({"properties": "x"}, "properties: expected an object, got a string"),
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
        "stop": ("x",),
    }


def test_system_is_a_string_or_blocks():
    blocks = [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]
    for system in ("Be brief.", blocks):
        assert read(system=system).call.messages == (Message("system", "Be brief."), Message("user", "Hello!"))


HEADER = "x-anthropic-billing-header: cc_version=2.1.63.a1b; cc_entrypoint=cli; cch=0f1e2;"


def test_system_blocks_keep_a_boundary_and_lose_the_billing_header():
    texts = [HEADER, "You are an agent.", "Be brief."]
    blocks = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}} for text in texts]
    for system in (blocks, blocks[1:], f"{HEADER}\nYou are an agent.\nBe brief."):
        assert read(system=system).call.messages[0] == Message("system", "You are an agent.\nBe brief.")


def test_a_late_system_message_loses_the_billing_header_too():
    late = {"role": "system", "content": [{"type": "text", "text": HEADER}, {"type": "text", "text": "Be brief."}]}
    assert read(HELLO, late).call.messages[1] == Message("system", "Be brief.")


def test_blocks_of_a_user_keep_a_boundary_and_those_of_an_answer_are_as_they_were_written():
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read({"role": "user", "content": blocks}).call.messages == (Message("user", "a\nb"),)
    assert read({"role": "assistant", "content": blocks}).call.messages == (Message("assistant", "ab"),)


def test_the_result_of_a_search_comes_after_its_call_with_titles_and_addresses():
    found = [
        {"type": "web_search_result", "title": "Oslo", "url": "https://a.example", "encrypted_content": "AAAA"},
        {"type": "web_search_result", "title": "Bergen", "url": "https://b.example", "encrypted_content": "AAAA"},
    ]
    said = {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "I search."},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": found},
            {"type": "text", "text": "It rains."},
        ],
    }
    assert read(HELLO, said).call.messages[1:] == (
        Message("assistant", "I search.", tool_calls=(ToolCall("s", 0, "web_search", {"query": "x"}),)),
        Message(
            "tool",
            "Oslo\nhttps://a.example\nBergen\nhttps://b.example",
            tool_name="web_search",
            tool_call_id="s",
        ),
        Message("assistant", "It rains."),
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("10 degrees", "10 degrees"),
        ([{"type": "text", "text": "a"}, {"type": "golden"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "tool_reference", "tool_name": "grep"}], "grep"),
        ({"type": "web_search_tool_result_error", "error_code": "unavailable"}, "unavailable"),
        ({"type": "code_execution_result", "stdout": "2", "stderr": "", "return_code": 0}, "2"),
        ({"type": "web_fetch_result", "url": "u", "content": {"type": "document", "title": "t"}}, "u\nt"),
    ],
)
def test_results_of_tools_in_every_form(content, text):
    block = {"type": "tool_result", "tool_use_id": "c", "content": content}
    assert read({"role": "user", "content": [block]}).call.messages == (Message("tool", text, tool_call_id="c"),)


def test_a_picture_in_a_result_is_shown_or_mentioned():
    here = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    elsewhere = {"type": "image", "source": {"type": "url", "url": "https://a.example"}}
    block = {"type": "tool_result", "tool_use_id": "c", "content": [here, elsewhere]}
    assert read({"role": "user", "content": [block]}).call.messages == (
        Message("tool", "[a picture that can't be shown here]", images=(PIXEL,), tool_call_id="c"),
    )


def test_an_empty_result_of_a_failure_says_so():
    block = {"type": "tool_result", "tool_use_id": "c", "is_error": True}
    assert read({"role": "user", "content": [block]}).call.messages[0].content == "error"


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "document", "title": "T", "context": "C", "source": {"type": "text", "data": "D"}}, "T\nC\nD"),
        ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "D"}]}}, "D"),
        (
            {"type": "search_result", "title": "T", "source": "u", "content": [{"type": "text", "text": "D"}]},
            "T\nu\nD",
        ),
        ({"type": "compaction", "content": "So far."}, "So far."),
        ({"type": "of_the_future", "text": "D"}, "D"),
        ({"type": "redacted_thinking", "data": "AAAA"}, ""),
        ({"type": "container_upload", "file_id": "f"}, ""),
    ],
)
def test_blocks_of_every_type_are_read_for_their_words(block, text):
    end = {"type": "text", "text": "end"}
    expected = f"{text}\nend" if text else "end"
    assert read({"role": "user", "content": [block, end]}).call.messages == (Message("user", expected),)


def test_a_document_that_is_no_text_is_mentioned():
    block = {"type": "document", "title": "a.pdf", "source": {"type": "base64", "data": "JVBERi0="}}
    assert read({"role": "user", "content": [block]}).call.messages[0].content == (
        "a.pdf\n[a document that can't be read here: only text is]"
    )


@pytest.mark.parametrize("given_input", [None, [], "", '{"a": ', 5])
def test_the_input_of_a_call_that_is_no_object_is_an_empty_one(given_input):
    block = {"type": "tool_use", "id": "c", "name": "f", "input": given_input}
    assert read({"role": "assistant", "content": [block]}).call.messages[0].tool_calls == (ToolCall("c", 0, "f", {}),)


def test_tools_that_run_at_anthropic_are_left_out():
    tools = [TOOL, {"type": "web_fetch_20250910", "name": "web_fetch"}, {"type": "custom", **TOOL, "name": "g"}]
    assert [tool["function"]["name"] for tool in read(tools=tools).call.tools] == ["get_weather", "g"]


WORDS = st.text("abcdefgh", min_size=3, max_size=8)
TEXTS = WORDS.map(lambda word: {"type": "text", "text": word})
USERS = st.one_of(
    TEXTS,
    WORDS.map(lambda w: {"type": "document", "title": w, "source": {"type": "text", "data": w}}),
    WORDS.map(lambda w: {"type": "of_the_future", "text": w}),
    st.lists(TEXTS, max_size=2).map(lambda c: {"type": "tool_result", "tool_use_id": "c", "content": c}),
)
ANSWERS = st.one_of(
    WORDS.map(lambda w: {"type": "thinking", "thinking": w, "signature": ""}),
    WORDS.map(lambda w: {"type": "text", "text": f" {w}"}),
    WORDS.map(lambda w: {"type": "tool_use", "id": "c", "name": "f", "input": {"a": w}}),
    WORDS.map(lambda w: {"type": "web_search_tool_result", "tool_use_id": "c", "content": [{"title": w, "url": w}]}),
)
MESSAGES = st.one_of(
    st.lists(USERS, max_size=4).map(lambda blocks: {"role": "user", "content": blocks}),
    st.lists(ANSWERS, max_size=4).map(lambda blocks: {"role": "assistant", "content": blocks}),
    WORDS.map(lambda word: {"role": "system", "content": word}),
)


@given(st.lists(MESSAGES, min_size=1, max_size=5), st.lists(TEXTS, max_size=3))
def test_no_word_of_any_block_is_lost(messages, system):
    said = " ".join(words_of(message) for message in read(*messages, system=system).call.messages)
    spoken = json.dumps([system, [block for message in messages for block in message["content"]]])
    for word in re.findall(r'"(?:text|data|thinking|a|title|url)": " ?([a-h]{3,8})"', spoken):
        assert re.search(rf"\b{word}\b", said)


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
        ({"output_config": {"effort": "xhigh"}}, "xhigh"),
        ({"thinking": {"type": "enabled"}, "output_config": {"effort": "low"}}, "low"),
        ({"output_config": {"effort": "endless"}}, None),
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


@pytest.mark.parametrize("schema", [True, False, [], None])
def test_a_schema_without_a_word_is_that_of_any_object(schema):
    (tool,) = read(tools=[TOOL | {"input_schema": schema}]).call.tools
    assert tool["function"]["parameters"] == {"type": "object", "properties": {}}


def test_a_schema_may_allow_several_types():
    schema = {"type": ["object", "null"], "properties": {}}
    assert read(tools=[TOOL | {"input_schema": schema}]).call.tools[0]["function"]["parameters"] == schema


def test_tools_of_anthropics_that_the_client_runs_are_offered_by_name():
    tools = [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 1000},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "mcp_toolset", "mcp_server_name": "x"},
    ]
    offered = read(tools=tools, tool_choice={"type": "any"}).call
    assert [tool["function"]["name"] for tool in offered.tools] == ["bash", "str_replace_based_edit_tool", "memory"]
    assert offered.tool_choice == "required"


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
