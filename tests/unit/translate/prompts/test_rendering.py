"""Whole prompts of well-known families, worked out by hand."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate import families
from vllama.templates import TemplateError
from vllama.templates.model_template import DEFAULT_TEMPLATE, read_template
from vllama.translate.pieces import Message, Tags, ToolCall
from vllama.translate.prompts.rendering import (
    Thinking,
    merged,
    render_chat,
    render_insert,
    tags_of,
    without_old_thinking,
)

TODAY = date(2026, 3, 1)
SYSTEM = Message("system", "Be brief.")
ASKED = Message("user", "Hi")
TALK = (SYSTEM, ASKED, Message("assistant", "Hello."), Message("user", "Bye"))
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "default": "Rome"}, "days": {"type": ["integer", "null"]}},
            "required": ["city"],
        },
    },
}
FUNCTION = (
    '{"name":"weather","description":"Of a city","parameters":{"type":"object","required":["city"],'
    '"properties":{"city":{"type":"string"},"days":{"type":["integer","null"]}}}}'
)
TOOL = f'{{"type":"function","function":{FUNCTION}}}'
CALLED = (
    Message("user", "Rain?"),
    Message("assistant", tool_calls=(ToolCall("c1", 0, "weather", {"days": 2, "city": "Oslo <N>"}),)),
    Message("tool", "dry", tool_name="weather"),
)
ARGUMENTS = '{"city":"Oslo \\u003cN\\u003e","days":2}'


def prompt(text, messages, **more):
    return render_chat(read_template(text), messages, today=TODAY, **more)


class TestOlderForm:
    def test_a_turn_at_a_time_and_the_last_one_up_to_the_response(self):
        assert prompt(families.CHATML, TALK) == (
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"
        )

    def test_a_last_turn_of_the_assistant_is_gone_on_with(self):
        said = prompt(families.CHATML, (ASKED, Message("assistant", "Hel")))
        assert said == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHel"

    def test_a_template_that_names_no_response_gets_one_at_its_end(self):
        assert prompt(families.LLAMA2, TALK) == "[INST] <<SYS>>Be brief.<</SYS>>\n\nHi [/INST]Hello.[INST] Bye [/INST]"

    def test_the_system_prompt_goes_where_the_template_puts_it(self):
        assert prompt(families.GEMMA, (SYSTEM, ASKED)) == (
            "<start_of_turn>user\nBe brief. Hi<end_of_turn>\n<start_of_turn>model\n"
        )

    def test_the_bare_template_is_the_bare_text(self):
        assert prompt(DEFAULT_TEMPLATE, (ASKED,)) == "Hi"
        assert prompt(DEFAULT_TEMPLATE, TALK) == "HiHello.Bye"

    @pytest.mark.parametrize(
        ("template", "said"),
        [
            ("{{ .Prompt }}{{ if .Response }}: {{ .Response }}{{ end }} tail", "Hi"),
            ('{{ .Prompt }}>{{ .Response | printf "%s" }}<', "Hi>"),
            ("{{ .Prompt }}{{ with .System }}s{{ else }}>{{ .Response }}!{{ end }}?", "Hi>"),
        ],
    )
    def test_nothing_stands_behind_the_response(self, template, said):
        assert prompt(template, (ASKED,)) == said


class TestMessagesForm:
    def test_phi(self):
        assert prompt(families.PHI, TALK) == (
            "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello.<|end|>\n"
            "<|user|>\nBye<|end|>\n<|assistant|>\n"
        )

    def test_llama3_with_tools(self):
        assert prompt(families.LLAMA3, (SYSTEM, ASKED), tools=[WEATHER]) == (
            "<|start_header_id|>system<|end_header_id|>\n\nBe brief.\n\nAnswer with a function call where one helps."
            "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nFunctions:\n"
            f"{TOOL}\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        )

    def test_llama3_with_a_call_and_its_result(self):
        assert prompt(families.LLAMA3, CALLED) == (
            "<|start_header_id|>user<|end_header_id|>\n\nRain?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n"
            f'{{"name": "weather", "parameters": {ARGUMENTS}}}<|eot_id|>'
            "<|start_header_id|>ipython<|end_header_id|>\n\ndry<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n"
        )

    def test_qwen25_with_tools(self):
        assert prompt(families.QWEN25, (SYSTEM, *CALLED), tools=[WEATHER]) == (
            "<|im_start|>system\nBe brief.\n\n# Tools\n<tools>\n"
            f'{{"type": "function", "function": {FUNCTION}}}\n</tools><|im_end|>\n'
            "<|im_start|>user\nRain?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n"
            f'{{"name": "weather", "arguments": {ARGUMENTS}}}\n</tool_call><|im_end|>\n'
            "<|im_start|>user\n<tool_response>\ndry\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
        )

    def test_mistral(self):
        assert prompt(families.MISTRAL, (SYSTEM, ASKED), tools=[WEATHER]) == (
            f"[AVAILABLE_TOOLS] [{TOOL}][/AVAILABLE_TOOLS][INST] Be brief.\n\nHi[/INST]"
        )
        assert prompt(families.MISTRAL, CALLED) == (
            f'[INST] Rain?[/INST][TOOL_CALLS] [{{"name": "weather", "arguments": {ARGUMENTS}}}]</s>'
            '[TOOL_RESULTS] {"content": dry}[/TOOL_RESULTS]'
        )

    def test_granite_with_a_defined_template_json_and_the_effort(self):
        assert prompt(families.GRANITE, (ASKED,), tools=[WEATHER], thinking=Thinking.asked("high")) == (
            f"<|start_of_role|>tools<|end_of_role|>[{TOOL}]<|end_of_text|>\n"
            "<|start_of_role|>user<|end_of_role|>Hi<|end_of_text|>\n"
            '<|start_of_role|>assistant {"length": "high"}<|end_of_role|>'
        )

    @pytest.mark.parametrize(
        ("think", "end"), [(None, ""), (True, ""), ("high", ""), (False, "<think>\n\n</think>\n\n")]
    )
    def test_deepseek_gets_the_setting_of_thinking(self, think, end):
        said = prompt(families.DEEPSEEK_R1, TALK, thinking=Thinking.asked(think))
        assert (
            said == f"Be brief.<｜User｜>Hi<｜Assistant｜>Hello.<｜end▁of▁sentence｜><｜User｜>Bye<｜Assistant｜>{end}"
        )

    def test_thoughts_of_a_turn_that_is_gone_on_with_are_given_back(self):
        begun = (ASKED, Message("assistant", "It", thinking="Hm."))
        said = prompt(families.DEEPSEEK_R1, begun, thinking=Thinking.asked(True))
        assert said == "<｜User｜>Hi<｜Assistant｜><think>\nHm.\n</think>It"

    def test_tools_can_be_written_out_by_their_parts(self):
        template = (
            "{{ range .Messages }}{{ end }}{{ range .Tools }}{{ .Function.Name }}("
            "{{ range $name, $p := .Function.Parameters.Properties }}"
            "{{ $name }}: {{ $p.Type }} {{ toTypeScriptType $p }}, {{ end }}) "
            "{{ range .Function.Parameters.Required }}{{ . }}!{{ end }}{{ end }}"
        )
        assert prompt(template, (ASKED,), tools=[WEATHER]) == (
            "weather(city: string string, days: [integer null] number | null, ) city!"
        )

    def test_odd_tools_do_no_harm(self):
        odd = [
            {},
            {"function": None},
            {"function": {"parameters": []}},
            {"function": {"parameters": {"properties": 3}}},
            {"type": 5, "function": {"name": 1, "parameters": {"properties": {"a": 1, "b": {"type": [1, None]}}}}},
        ]
        assert prompt("{{ .Messages | len }}{{ .Tools }}", (ASKED,), tools=odd).startswith("1[{")

    def test_a_tool_nested_beyond_reason_is_refused(self):
        deep: dict = {}
        for _ in range(3000):
            deep = {"properties": {"a": deep}, "anyOf": [deep]}
        for schema in (deep, {"type": "object", "items": deep}):
            with pytest.raises(TemplateError):
                prompt("{{ .Messages }}{{ .Tools }}", (ASKED,), tools=[{"function": {"parameters": schema}}])


class TestMerging:
    def test_neighbours_of_one_role_become_one_and_tool_results_stay_apart(self):
        calls = (ToolCall("", 0, "f", {}),)
        said = merged(
            [Message("user", "a"), Message("user", "b"), Message("assistant", "c"),
             Message("assistant", tool_calls=calls), Message("tool", "d"), Message("tool", "e")]
        )  # fmt: skip
        assert [(m.role, m.content) for m in said] == [
            ("user", "a\n\nb"), ("assistant", "c\n\n"), ("tool", "d"), ("tool", "e"),
        ]  # fmt: skip
        assert said[1].tool_calls == calls

    def test_all_system_messages_are_the_system_prompt(self):
        talk = (SYSTEM, ASKED, Message("system", "Rhyme."), Message("user", "Go"))
        assert prompt("{{ .System }}{{ range .Messages }}|{{ .Role }}{{ end }}", talk) == (
            "Be brief.\n\nRhyme.|system|user|system|user"
        )


class TestInsert:
    def test_prompt_and_suffix_go_through_the_template(self):
        said = render_insert(read_template(families.QWEN25), "def f(", "return 1", today=TODAY)
        assert said == "<|fim_prefix|>def f(<|fim_suffix|>return 1<|fim_middle|>"


class TestWhatATemplateTells:
    @pytest.mark.parametrize(
        ("template", "can", "thinking", "mark"),
        [
            (families.CHATML, set(), None, "{"),
            (families.PHI, set(), None, "{"),
            (families.LLAMA3, {"tools"}, None, "{"),
            (families.QWEN25, {"tools", "insert"}, None, "<tool_call>"),
            (families.MISTRAL, {"tools"}, None, "[TOOL_CALLS] ["),
            (families.DEEPSEEK_R1, {"thinking"}, ("<think>", "</think>"), "{"),
        ],
    )
    def test_capabilities_and_marks(self, template, can, thinking, mark):
        known = read_template(template)
        assert (known.capabilities, known.thinking, known.tool_mark) == (can, thinking, mark)

    def test_thinking_outside_the_loop_over_messages_says_nothing(self):
        assert read_template("{{ range .Tools }}<t>{{ .Thinking }}</t>{{ end }}").thinking is None
        assert read_template("<t>{{ .Thinking }}</t>").thinking is None

    def test_what_stands_between_names_is_read_without_case(self):
        assert read_template("{{ range $.messages }}{{ end }}").reads_messages

    def test_how_to_take_an_answer_apart(self):
        known = read_template(families.QWEN25)
        assert tags_of(known, "…<think>\n", thinking=("<think>", "</think>"), tools=[WEATHER, {}, {"function": 3}]) == (
            Tags(("<think>", "</think>"), inside=True, tools=("weather",), mark="<tool_call>")
        )
        assert tags_of(known, "<think>", thinking=None) == Tags(mark="<tool_call>")

    def test_an_include_without_a_value_is_refused_as_ollama_does(self):
        with pytest.raises(TemplateError, match="undefined template specified"):
            read_template('{{ define "x" }}{{ end }}{{ template "x" }}')


def test_old_thoughts_in_the_text_of_answers_go():
    talk = [ASKED, Message("assistant", "<think>\nHm.\n</think>\n\nHello."), Message("user", "Bye"),
            Message("assistant", "<think>keep")]  # fmt: skip
    assert [m.content for m in without_old_thinking(talk)] == ["Hi", "Hello.", "Bye", "<think>keep"]


MESSAGES = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["system", "user", "assistant", "tool", "odd"]),
        content=st.text(max_size=5),
        thinking=st.text(max_size=3),
        tool_calls=st.lists(
            st.builds(ToolCall, st.text(max_size=2), st.integers(0, 3), st.text(max_size=3), st.just({"a": [1, None]})),
            max_size=2,
        ).map(tuple),
    ),
    max_size=6,
)


@given(st.sampled_from([getattr(families, name) for name in dir(families) if name.isupper()]), MESSAGES)
def test_every_conversation_can_be_rendered_and_keeps_its_questions(template, messages):
    said = prompt(template, messages)
    last = next((message for message in reversed(messages) if message.role in {"user", "assistant"}), None)
    if last is not None and last.role == "user":
        assert last.content in said
