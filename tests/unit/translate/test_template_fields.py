from __future__ import annotations

from typing import Any

import pytest

from tests.unit.translate.models import model
from vllama.translate.engine.requests import chat_prompt
from vllama.translate.pieces import ChatCall, Message
from vllama.translate.template_fields import for_template, read_template_fields

TEMPLATE = (
    "{% if preserve_thinking %}x{% endif %}{{ documents }}{% for message in messages %}{{ style | upper }}{% endfor %}"
)
PLAIN = model(chat_template=TEMPLATE)
THINKER = model(chat_template=TEMPLATE + "{{ enable_thinking }}", capabilities=("completion", "thinking"))


def asked(fields: Any, chosen=PLAIN, **more: Any) -> ChatCall:
    return for_template(
        ChatCall((Message("user", "Hi"),), template_fields=read_template_fields(fields), **more), chosen
    )


def test_names_that_the_template_reads_are_handed_on_and_others_are_not():
    fields = {"preserve_thinking": True, "style": "brief", "bogus": 1, "messages": [], "chat_template": "x", "tools": 5}
    call = asked(fields)
    assert call.template_fields == {"preserve_thinking": True, "style": "brief"}
    assert chat_prompt(call, call.messages, PLAIN)["chat_template_kwargs"] == {
        "preserve_thinking": True,
        "style": "brief",
    }


@pytest.mark.parametrize(
    ("fields", "think"),
    [
        ({"enable_thinking": False}, False),
        ({"enable_thinking": True}, True),
        ({"thinking": False}, False),
        ({"reasoning_effort": "low"}, "low"),
        ({"enable_thinking": False, "reasoning_effort": "low"}, False),
        ({"enable_thinking": "no", "reasoning_effort": "bogus"}, None),
    ],
)
def test_what_they_say_of_thinking_is_the_calls_own(fields, think):
    call = asked(fields, THINKER)
    assert (call.think, call.template_fields) == (think, {})


def test_an_effort_of_the_dialects_own_wins():
    assert asked({"enable_thinking": False}, THINKER, think="high").think == "high"


def test_a_model_that_cannot_think_is_not_refused_for_it():
    assert asked({"enable_thinking": True}).think is None


@pytest.mark.parametrize("given", [None, 5, "x", [1]])
def test_what_is_no_object_is_ignored(given):
    assert asked(given).template_fields == {}
