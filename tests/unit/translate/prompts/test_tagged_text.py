"""Answers of models with a Go template, taken apart by its marks: the same wherever the stream is cut."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vllama.translate.pieces import Tags, ToolCall
from vllama.translate.prompts.tagged_text import TaggedText

THINK = ("<think>", "</think>")
TOOLS = ("get", "get_weather")
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'


def taken_apart(parts, tags):
    """Thinking, content and calls of a text in pieces."""
    reader = TaggedText(tags, lambda number: f"call_{number}")
    pieces = [piece for part in parts for piece in reader.feed(part)] + reader.end()
    return (
        "".join(piece.thinking for piece in pieces),
        "".join(piece.content for piece in pieces),
        tuple(call for piece in pieces for call in piece.tool_calls),
    )


def whole(text, **tags):
    return taken_apart([text], Tags(**tags))


class TestThinking:
    @pytest.mark.parametrize(
        ("text", "thinking", "content"),
        [
            ("<think>a</think>b", "a", "b"),
            (" \n<think>\n a b\n</think>\n\n b c ", "a b\n", "b c "),
            ("<think></think>b", "", "b"),
            ("<think>a", "a", ""),
            ("<think>a</thin", "a</thin", ""),
            ("<think>a</think>", "a", ""),
            ("plain", "", "plain"),
            (" plain <think>a</think>", "", " plain <think>a</think>"),
            ("<thin", "", "<thin"),
            ("<thing>", "", "<thing>"),
            ("\n\n", "", "\n\n"),
            ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
            ("", "", ""),
        ],
    )
    def test_it_stands_at_the_beginning_between_its_tags(self, text, thinking, content):
        assert whole(text, thinking=THINK) == (thinking, content, ())

    def test_it_has_begun_when_the_prompt_ends_with_its_tag(self):
        assert whole("\na</think>b", thinking=THINK, inside=True) == ("a", "b", ())

    def test_without_tags_all_is_content(self):
        assert whole("<think>a</think>b") == ("", "<think>a</think>b", ())


class TestCalls:
    def test_a_call_comes_whole_with_its_number(self):
        assert whole(f"See: {CALL}", tools=TOOLS, mark="<tool_call>") == (
            "",
            "See: ",
            (ToolCall("call_0", 0, "get_weather", {"city": "Oslo"}),),
        )

    def test_several_calls_and_what_stands_between_them_is_no_content(self):
        _, content, calls = whole(f"{CALL}\n and \n{CALL} done", tools=TOOLS, mark="<tool_call>")
        assert (content, [(call.id, call.index) for call in calls]) == ("", [("call_0", 0), ("call_1", 1)])

    def test_the_longest_of_the_names_that_begin_there_is_meant(self):
        _, _, calls = whole('<c>{"name": "get", "arguments": {"a": "get_weather"}}', tools=TOOLS, mark="<c>")
        assert calls[0].name == "get"
        _, _, calls = whole(CALL, tools=TOOLS, mark="<tool_call>")
        assert calls[0].name == "get_weather"

    @pytest.mark.parametrize(
        ("text", "arguments"),
        [
            ('{"name": "get", "arguments": {"a": 1}}', {"a": 1}),
            ('{"name": "get", "parameters": {"a": 1}}', {"a": 1}),
            ('{"name": "get", "arguments": "{\\"a\\": 1}"}', {"a": 1}),
            ('{"name": "get"}', {}),
            ('{"name": "get", "arguments": {}}', {}),
            ('get {"a": 1}', {"a": 1}),
            ('get[ARGS]{"a": {"b": "}"}}', {"a": {"b": "}"}}),
            ('{"get": {"a": 1}}', {"a": 1}),
            ('{"calls": [{"name": "get", "arguments": {"a": 1}}]}', {"a": 1}),
            ('} {broken} {"name": "get", "arguments": {"a": "{"}}', {"a": "{"}),
            ('{"name": "get", "arguments": {"a": "\\"}"}}', {"a": '"}'}),
        ],
    )
    def test_forms_that_models_write(self, text, arguments):
        _, content, calls = whole(f"<c>{text}", tools=("get",), mark="<c>")
        assert (content, [(call.name, call.arguments) for call in calls]) == ("", [("get", arguments)])

    def test_a_list_of_calls_after_a_mark(self):
        text = '[TOOL_CALLS] [{"name": "get", "arguments": {"a": 1}}, {"name": "get", "arguments": {"a": 2}}]'
        _, content, calls = whole(text, tools=TOOLS, mark="[TOOL_CALLS] [")
        assert (content, [call.arguments for call in calls]) == ("", [{"a": 1}, {"a": 2}])

    def test_a_call_that_is_cut_off_is_nothing(self):
        assert whole('ok <c>{"name": "get", "arguments": {"a"', tools=TOOLS, mark="<c>") == ("", "ok ", ())

    def test_a_tool_that_was_not_offered_is_not_called(self):
        assert whole('<c>{"name": "rm", "arguments": {}}', tools=TOOLS, mark="<c>") == ("", "", ())

    def test_without_tools_a_mark_is_text(self):
        assert whole(CALL, mark="<tool_call>") == ("", CALL, ())


class TestBareObjects:
    """Templates that show no mark: a call is an object at the beginning."""

    def test_an_object_is_a_call(self):
        assert whole('{"name": "get", "parameters": {}}', tools=TOOLS)[2] == (ToolCall("call_0", 0, "get", {}),)

    @pytest.mark.parametrize(
        "text",
        [
            "Use {a} and {b}",
            '{"answer": 42}',
            '{"answer": 42} and more {"name": "get"}',
            "{ open",
            "[1]",
            'x {"name": "get"}',
        ],
    )
    def test_what_is_no_call_is_shown(self, text):
        assert whole(text, tools=TOOLS) == ("", text, ())

    def test_a_list_is_marked_by_its_bracket(self):
        text = '[{"name": "get", "arguments": {"a": 1}}]'
        assert [call.name for call in whole(text, tools=TOOLS, mark="[")[2]] == ["get"]
        assert whole("[1, 2] are numbers", tools=TOOLS, mark="[") == ("", "[1, 2] are numbers", ())


def test_thoughts_then_text_then_a_call():
    text = f"<think>\nLook it up.\n</think>\n\nOne moment. {CALL}"
    assert whole(text, thinking=THINK, tools=TOOLS, mark="<tool_call>") == (
        "Look it up.\n",
        "One moment. ",
        (ToolCall("call_0", 0, "get_weather", {"city": "Oslo"}),),
    )


FRAGMENTS = st.sampled_from(
    ["<think>", "</think>", "<thi", "nk>", " ", "\n", "text", "é😀", "<tool_call>", "</tool_call>", "<tool", "{", "}",
     '{"name": "get", "arguments": {"a": 1}}', '{"name": "get_weather"', ', "arguments": {"b": "}{"}}', '"', "\\", "[",
     "]", "get", "get_weather"]
)  # fmt: skip
TAGS = st.builds(
    Tags,
    thinking=st.none() | st.just(THINK),
    inside=st.booleans(),
    tools=st.sampled_from([(), TOOLS]),
    mark=st.sampled_from(["<tool_call>", "{", "["]),
)


@given(st.lists(FRAGMENTS, max_size=10).map("".join), TAGS, st.data())
@example('{"name": "get", "arguments": {}}{"name": "get_weather", "arguments": {}}', Tags(tools=TOOLS), None)
def test_the_same_comes_out_wherever_the_text_is_cut(text, tags, data):
    by_character = taken_apart(list(text), tags)
    assert all(call.name in TOOLS for call in by_character[2])
    assert taken_apart([text], tags) == by_character
    if data is not None:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
        parts = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert taken_apart(parts, tags) == by_character
    if not tags.tools and tags.thinking is None:
        assert by_character[1] == text


@given(st.text(max_size=40).filter(lambda text: not {"{", "["} & set(text)), TAGS)
def test_text_without_marks_is_not_lost(text, tags):
    thinking, content, calls = taken_apart(list(text), tags)
    assert not calls
    assert (thinking + content).split() == text.split()


def test_a_long_call_takes_time_in_proportion():
    reader = TaggedText(Tags(tools=TOOLS, mark="<c>"), str)
    began = time.monotonic()
    reader.feed('<c>{"name": "get", "arguments": {"text": "')
    for _ in range(20_000):
        assert not reader.feed("word ")
    (piece,) = reader.feed('"}}')
    assert len(piece.tool_calls[0].arguments["text"]) == 100_000
    assert time.monotonic() - began < 5
