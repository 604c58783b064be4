from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.translate.models import model
from vllama.translate.conversation.template_shapes import NATURAL
from vllama.translate.engine.requests import chat_body, conversation, text_body
from vllama.translate.engine.template_trials import trials
from vllama.translate.options import read_options
from vllama.translate.pieces import ChatCall, Message, TextCall, ToolCall

USER = Message("user", "Hi")
THINKER = model(capabilities=("completion", "tools", "thinking"))


def body(call: ChatCall, chosen=THINKER, shapes=NATURAL):
    messages = conversation(chosen, call.messages)
    call = replace(call, checked=read_options(call.options, chosen.parameters))
    return chat_body(call, messages, chosen, shapes, served_name="engine", context_length=2048)


def test_says_everything_that_vllm_would_guess_otherwise():
    sent = body(ChatCall((USER,)), model())
    assert sent == {
        "messages": [{"role": "user", "content": "Hi"}],
        "model": "engine",
        "max_tokens": 2048,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.8,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.0,
    }


def test_calls_in_the_history_get_ids_and_text_arguments():
    call = ToolCall("", 0, "f", {"city": "Zürich"})
    sent = body(
        ChatCall((USER, Message("assistant", tool_calls=(call, call)), Message("tool", "1"), Message("tool", "2")))
    )
    wire = sent["messages"][1]["tool_calls"]
    assert [json.loads(c["function"]["arguments"]) for c in wire] == [{"city": "Zürich"}] * 2
    assert [m["tool_call_id"] for m in sent["messages"][2:]] == [c["id"] for c in wire]
    assert all(len(c["id"]) == 9 and c["id"].isalnum() and c["type"] == "function" for c in wire)


def test_a_result_answers_the_call_of_its_name_or_its_id():
    calls = (ToolCall("a", 0, "f", {}), ToolCall("b", 1, "g", {}), ToolCall("c", 2, "g", {}))
    results = (Message("tool", "1", tool_name="g"), Message("tool", "2", tool_call_id="c"), Message("tool", "3"))
    sent = body(ChatCall((USER, Message("assistant", tool_calls=calls), *results)))
    assert [m["tool_call_id"] for m in sent["messages"][2:]] == ["b", "c", "a"]


def test_a_result_without_a_call_gets_an_id_of_its_own():
    assert body(ChatCall((USER, Message("tool", "x"))))["messages"][1]["tool_call_id"]


@pytest.mark.parametrize(("think", "on"), [(None, True), (True, True), (False, False), ("low", True)])
def test_thinking_is_on_unless_refused(think, on):
    sent = body(ChatCall((USER,), think=think))
    assert sent["chat_template_kwargs"] == {"enable_thinking": on, "thinking": on}
    assert sent.get("reasoning_effort") == (think if isinstance(think, str) else None)


def test_a_model_that_cannot_think_gets_no_setting():
    assert "chat_template_kwargs" not in body(ChatCall((USER,)), model())


def test_the_highest_effort_of_gpt_oss_is_high():
    oss = model(family="gpt_oss", capabilities=("completion", "thinking"))
    with pytest.raises(StopIteration) as found:
        next(trials(oss))
    assert body(ChatCall((USER,), think="max"), oss, found.value.value)["reasoning_effort"] == "high"


def test_a_last_assistant_message_is_continued():
    sent = body(ChatCall((USER, Message("assistant", "The capital"))))
    assert (sent["add_generation_prompt"], sent["continue_final_message"]) == (False, True)


def test_earlier_thinking_goes_along():
    assert body(ChatCall((Message("assistant", "Hi", thinking="Hm"), USER)))["messages"][0]["reasoning"] == "Hm"


def test_tools_are_passed_whole_with_what_vllm_insists_on():
    odd = {"description": None, "strict": "yes", "defer_loading": 5}
    tool = {"type": "custom", "function": odd | {"parameters": {"properties": {"a": {"minimum": 3}}}}, "items": 1}
    assert body(ChatCall((USER,), tools=(tool,)))["tools"] == [
        {"type": "function", "function": {"name": "", "parameters": {"properties": {"a": {"minimum": 3}}}}}
    ]
    assert "tools" not in body(ChatCall((USER,)))


def test_formats():
    schema = {"type": "array", "items": {"type": "integer"}}
    for wanted, grammar in (("json", {"type": "object"}), (schema, schema), ({}, {})):
        sent = body(ChatCall((USER,), format=wanted))["response_format"]
        assert sent["type"] == "structural_tag"
        assert (sent["format"]["type"], sent["format"]["json_schema"]) == ("json_schema", grammar)
        assert 0 < sent["format"]["max_whitespace_cnt"] < 30  # never blanks without end
    assert "response_format" not in body(ChatCall((USER,), format=""))


def test_images_take_their_marks_places_the_rest_goes_first():
    sent = body(ChatCall((Message("user", "a [img] b", images=("AA==", "BB==")),)))
    kinds = [part.get("text") or part["image_url"]["url"] for part in sent["messages"][0]["content"]]
    assert kinds == ["data:image/png;base64,AA==", "a ", "data:image/png;base64,BB==", " b"]


def test_stored_system_prompt_and_turns_come_first_unless_the_client_brings_a_system_prompt():
    stored = model(
        system="Be brief.", messages=({"role": "user", "content": "q"}, {"role": "assistant", "content": "a"})
    )
    assert [m.content for m in conversation(stored, (USER,))] == ["Be brief.", "q", "a", "Hi"]
    assert [m.content for m in conversation(stored, (Message("system", "S"), USER))] == ["q", "a", "S", "Hi"]


def test_raw_text_goes_as_it_is():
    call = TextCall("The capital", logprobs=True, top_logprobs=2, want_token_ids=True)
    sent = text_body(
        replace(call, checked=read_options({"num_predict": 3}, {})), model(), served_name="e", context_length=2048
    )
    assert (sent["prompt"], sent["max_tokens"], sent["logprobs"], sent["return_token_ids"]) == (
        "The capital",
        3,
        2,
        True,
    )
    assert "add_special_tokens" not in sent


def test_a_text_that_brings_its_beginning_gets_no_second_one():
    sent = text_body(TextCall("<|begin_of_text|>x"), model(), served_name="e", context_length=9)
    assert sent["add_special_tokens"] is False


def test_a_billing_header_reaches_no_model_by_any_way():
    header = "x-anthropic-billing-header: cc_version=2.1.63.a1b; cch=0f1e2;"
    stored = model(system="Be brief.")
    for text, kept in ((f"{header}Be a pirate.", "Be a pirate."), (f"{header}\nBe a pirate.", "Be a pirate.")):
        assert conversation(stored, (Message("system", text), USER)) == (Message("system", kept), USER)
    assert conversation(stored, (Message("system", header), USER)) == (Message("system", "Be brief."), USER)
    assert conversation(stored, (Message("user", header),))[1].content == header
