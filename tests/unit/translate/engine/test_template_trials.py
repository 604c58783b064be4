"""What small renderings tell of a template: told here by functions that render as templates of one kind do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.translate.models import model
from vllama.translate.conversation.template_shapes import NATURAL, TemplateShapes
from vllama.translate.engine.template_trials import trials, worth_trying

THINKER = model(capabilities=("completion", "tools", "thinking"), chat_template="{{ reasoning_effort }}")
Template = Callable[[dict[str, Any]], str | None]


def found(template: Template, asked=THINKER) -> tuple[TemplateShapes, int]:
    """What the trials say of a template, and how many there were."""
    asking, count = trials(asked), 0
    try:
        body = next(asking)
        while True:
            count += 1
            body = asking.send(template(body))
    except StopIteration as end:
        return end.value, count


def lax(body: dict[str, Any]) -> str:
    """Shows whatever there is."""
    return str(body.get("tools", "")) + "".join(f"<{m['role']}>{m}" for m in body["messages"])


def roles(body: dict[str, Any]) -> list[str]:
    return [message["role"] for message in body["messages"]]


def only_if(taken: Callable[[list[str]], bool]) -> Template:
    return lambda body: lax(body) if taken(roles(body)) else None


def without(drop: Callable[[int, str], bool]) -> Template:
    """A template that leaves messages out."""
    return lambda body: lax(
        {**body, "messages": [m for place, m in enumerate(body["messages"]) if not drop(place, m["role"])]}
    )


def in_turns(said: list[str]) -> bool:
    said = [role for role in said if role != "system"]
    return said == [("user", "assistant")[place % 2] for place in range(len(said))]


def test_a_template_that_takes_everything_is_seen_in_few_trials():
    shapes, count = found(lax)
    assert shapes == NATURAL
    assert count <= 24


@pytest.mark.parametrize(
    "template",
    [
        only_if(lambda said: "system" not in said[1:]),
        without(lambda place, role: place > 0 and role == "system"),
    ],
    ids=["raises", "leaves it out"],
)
def test_one_system_message_at_the_front(template):
    shapes, _ = found(template)
    assert {("system", "system"), ("user", "late"), ("assistant", "late"), ("result", "late")} <= shapes.refused
    assert ("start", "system") not in shapes.refused
    assert shapes.reported == "one system message, at the front"


@pytest.mark.parametrize(
    "template",
    [only_if(lambda said: "system" not in said), without(lambda _, role: role == "system")],
    ids=["raises", "leaves it out"],
)
def test_no_system_message(template):
    shapes, _ = found(template)
    assert ("start", "system") in shapes.refused
    assert not shapes.has_system(tools=False)
    assert {pair for pair in shapes.refused if "late" not in pair} == {("start", "system")}


def test_only_the_last_system_message_is_shown():
    def template(body):
        last = max((place for place, role in enumerate(roles(body)) if role == "system"), default=-1)
        return without(lambda place, role: role == "system" and place != last)(body)

    shapes, _ = found(template)
    assert {("system", "system"), ("assistant", "late")} <= shapes.refused


def test_user_and_assistant_in_turns():
    shapes, _ = found(only_if(in_turns))
    expected = {("user", "user"), ("assistant", "assistant"), ("start", "assistant"), ("user", "calls")}
    assert expected <= shapes.refused
    assert shapes.empty_user
    assert shapes.reported == "user and assistant in turns; no calls of tools"


def test_a_result_may_have_to_be_answered_before_the_user_speaks():
    shapes, _ = found(only_if(lambda said: ("tool", "user") not in itertools.pairwise(said)))
    assert shapes == TemplateShapes(refused=frozenset({("result", "user")}))


def test_one_call_at_a_time():
    shapes, _ = found(
        lambda body: lax(body) if all(len(m.get("tool_calls", "_")) < 2 for m in body["messages"]) else None
    )
    assert shapes == TemplateShapes(call_lists=False)
    assert shapes.reported == "one call of a tool at a time"


def test_tools_shown_by_a_system_message_only():
    shapes, _ = found(lambda body: lax(body if "system" in roles(body) else {**body, "tools": ""}))
    assert shapes == TemplateShapes(tools_alone=False)


def test_tools_that_hide_the_system_message():
    shapes, _ = found(lambda body: without(lambda _, role: role == "system" and "tools" in body)(body))
    assert not shapes.system_with_tools
    assert shapes.has_system(tools=False)


def test_a_conversation_needs_a_user():
    shapes, _ = found(only_if(lambda said: "user" in said))
    assert shapes == TemplateShapes(userless=False)


def test_the_assistants_last_turn_can_not_be_continued():
    shapes, _ = found(only_if(lambda said: said[-1] in {"user", "tool"}))
    assert {("assistant", "end"), ("late", "end")} <= shapes.refused


def test_only_the_last_message_is_shown():
    shapes, _ = found(lambda body: lax({**body, "messages": body["messages"][-1:]}))
    assert {("user", "assistant"), ("assistant", "user"), ("start", "system")} <= shapes.refused


def test_levels_of_thinking():
    def template(body):
        effort = body["chat_template_kwargs"].get("reasoning_effort", "low")
        return lax(body) if effort in {"low", "medium", "xhigh"} else None

    shapes, _ = found(template)
    assert shapes == TemplateShapes(refused_efforts=frozenset({"minimal", "high", "max"}))
    assert shapes.reported == "levels of thinking low, medium, xhigh"


def test_levels_that_the_template_never_reads_are_not_tried():
    _, count = found(lax, model(capabilities=("completion", "tools", "thinking"), chat_template="{{ messages }}"))
    assert count <= 18


def test_where_the_words_can_not_be_seen_only_refusals_count():
    assert found(lambda _: "")[0] == NATURAL
    shapes, _ = found(lambda body: "" if "system" not in roles(body)[1:] else None)
    assert ("user", "late") in shapes.refused


def test_a_template_that_refuses_a_single_question_reveals_nothing():
    assert found(lambda _: None) == (NATURAL, 1)


def test_harmony_has_three_levels():
    shapes, count = found(lax, model(family="gpt_oss", capabilities=("completion", "thinking")))
    assert (shapes.reported, count) == ("levels of thinking low, medium, high", 0)


@pytest.mark.parametrize(
    ("asked", "tried"),
    [
        (model(), True),
        (model(task="embed"), False),
        (model(chat_template=None), False),
        (model(chat_template=None, tool_parser="mistral"), True),
        (model(template="{{ .Prompt }}"), False),
        (model(template="{{ .Prompt }}", capabilities=("completion", "vision")), True),
    ],
)
def test_only_templates_that_vllm_applies_are_tried(asked, tried):
    assert worth_trying(asked) is tried


def test_calls_that_are_not_shown_and_results_that_are():
    def template(body):
        return lax({**body, "messages": [{**m, "tool_calls": ""} for m in body["messages"]]})

    shapes, _ = found(template)
    assert ("user", "calls") in shapes.refused
    assert ("assistant", "result") not in shapes.refused


def test_calls_that_hide_the_text_next_to_them():
    def template(body):
        return lax({**body, "messages": [m | ({"content": ""} if "tool_calls" in m else {}) for m in body["messages"]]})

    assert found(template)[0] == TemplateShapes(text_with_calls=False)


def test_a_developers_message_that_is_not_shown():
    assert found(without(lambda _, role: role == "developer"))[0] == TemplateShapes(developer=False)
