"""Any conversation for any template: only shapes that it takes, every word, and nothing changed without need."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.conversation.alternation import normal
from vllama.translate.conversation.joining import joined
from vllama.translate.conversation.template_shapes import BARE, NATURAL, STRICTEST, TemplateShapes, kinds_of
from vllama.translate.pieces import Message, ToolCall

KINDS = ("start", "system", "late", "user", "assistant", "calls", "result", "end")
PAIRS = sorted(set(itertools.product(KINDS, KINDS)) - BARE)
FLAGS = (
    "userless",
    "other_roles",
    "developer",
    "call_lists",
    "text_with_calls",
    "system_with_tools",
    "tools_alone",
    "empty_user",
    "empty_assistant",
)
SYSTEM = Message("system", "Be brief.")
ASKS = Message("user", "Hello")
SAYS = Message("assistant", "Hi")
MORE = Message("user", "And now?")
CALL = ToolCall("c1", 0, "look", {"at": "sea"})
CALLS = Message("assistant", tool_calls=(CALL,))
RESULT = Message("tool", "blue", tool_name="look", tool_call_id="c1")


def refusing(*pairs: tuple[str, str], **flags: bool) -> TemplateShapes:
    return TemplateShapes(refused=frozenset(pairs), **flags)


@st.composite
def shapes(draw) -> TemplateShapes:
    refused = draw(st.one_of(st.just(PAIRS), st.lists(st.sampled_from(PAIRS), max_size=12)))
    refused = [*refused, *draw(st.sampled_from([[], [], [("assistant", "user")]]))]
    return TemplateShapes(refused=frozenset(refused), **{name: draw(st.booleans()) for name in FLAGS})


ROLES = ("system", "user", "assistant", "tool", "developer", "narrator", "function", "")


@st.composite
def conversations(draw) -> tuple[Message, ...]:
    made = []
    roles = draw(st.lists(st.sampled_from(ROLES), min_size=1, max_size=9))
    for number, role in enumerate(roles):
        words = draw(st.sampled_from(["", f"w{number}", f"w{number} v{number}\n\nu{number}"]))
        calls = ()
        if role == "assistant" and draw(st.booleans()):
            count = draw(st.integers(1, 3))
            calls = tuple(ToolCall(f"id{number}{i}", i, f"f{i}", {"a": f"x{number}y{i}"}) for i in range(count))
        images = (f"i{number}",) if role == "user" and draw(st.booleans()) else ()
        asked = (
            draw(st.sampled_from([call.id for m in made for call in m.tool_calls] or [""])) if role == "tool" else ""
        )
        made.append(Message(role, words, tool_calls=calls, images=images, tool_call_id=asked))
    return tuple(made)


def words_of(messages, role: str | None = None) -> list[str]:
    """All words, those of calls too, in the order of the conversation."""
    found = []
    for message in messages:
        if role is None or message.role == role:
            found += re.findall(r"\b(?:[wvu]\d|x\dy\d)\b", message.content)
            found += [str(call.arguments["a"]) for call in message.tool_calls]
    return found


def in_order(some: list[str], all_of_them: list[str]) -> bool:
    rest = iter(all_of_them)
    return all(word in rest for word in some)


@given(conversations(), shapes(), st.booleans())
def test_the_template_takes_what_comes_out(messages, template, tools):
    assert template.takes(normal(messages, template, tools=tools), tools=tools)


@given(conversations(), shapes(), st.booleans())
def test_no_word_is_lost_and_each_roles_words_keep_their_order(messages, template, tools):
    found = words_of(normal(messages, template, tools=tools))
    assert sorted(found) == sorted(words_of(messages))
    for role in ROLES:
        if role != "tool":  # a result may move to its call
            assert in_order(words_of(messages, role), found)


@given(conversations(), shapes(), st.booleans())
def test_pictures_are_kept_in_their_order(messages, template, tools):
    made = normal(messages, template, tools=tools)
    assert [image for m in made for image in m.images] == [image for m in messages for image in m.images]


@given(conversations(), shapes(), st.booleans())
def test_a_call_stays_before_its_result(messages, template, tools):
    found = words_of(normal(messages, template, tools=tools))
    for place, result in enumerate(messages):
        for call in (call for m in messages[:place] for call in m.tool_calls if call.id == result.tool_call_id):
            for word in words_of([result]):
                assert found.index(str(call.arguments["a"])) < found.index(word)


@given(conversations(), shapes(), st.booleans())
def test_what_the_template_takes_stays_as_it_is(messages, template, tools):
    once = normal(messages, template, tools=tools)
    assert normal(once, template, tools=tools) == once
    assert normal(messages, NATURAL, tools=tools) == messages


@given(conversations(), st.booleans())
def test_the_strictest_form_is_user_and_assistant_in_turns(messages, tools):
    kinds = kinds_of(normal(messages, STRICTEST, tools=tools))
    assert kinds == [("user", "assistant")[place % 2] for place in range(len(kinds))]
    assert len(kinds) % 2


TURNS = refusing(("user", "user"), ("assistant", "assistant"))
ONE_SYSTEM = refusing(
    *(("system", "system"), ("user", "late"), ("assistant", "late"), ("late", "late"), ("late", "user")),
    *(("late", "end"), ("result", "late"), ("calls", "late"), ("late", "assistant"), ("late", "calls")),
)
NO_SYSTEM = refusing(("start", "system"))


@pytest.mark.parametrize(
    ("template", "asked", "made"),
    [
        (TURNS, [ASKS, MORE], [Message("user", "Hello\n\nAnd now?")]),
        (TURNS, [ASKS, SAYS, SAYS, MORE], [ASKS, Message("assistant", "Hi\n\nHi"), MORE]),
        (
            refusing(("assistant", "calls")),
            [ASKS, SAYS, replace(CALLS, thinking="Hm."), RESULT],
            [ASKS, Message("assistant", "Hi", thinking="Hm.", tool_calls=(CALL,)), RESULT],
        ),
        (ONE_SYSTEM, [SYSTEM, SYSTEM, ASKS], [Message("system", "Be brief.\n\nBe brief."), ASKS]),
        (ONE_SYSTEM, [ASKS, SAYS, SYSTEM, MORE], [SYSTEM, ASKS, SAYS, MORE]),
        (ONE_SYSTEM, [SYSTEM, ASKS, CALLS, RESULT, Message("system", "Go on.")],
         [Message("system", "Be brief.\n\nGo on."), ASKS, CALLS, RESULT]),
        (ONE_SYSTEM, [ASKS, SAYS, SYSTEM], [ASKS, SAYS, Message("user", "Be brief.")]),
        (ONE_SYSTEM, [Message("developer", "Be kind."), SYSTEM, ASKS],
         [Message("system", "Be kind.\n\nBe brief."), ASKS]),
        (NO_SYSTEM, [SYSTEM, ASKS, SAYS, MORE], [Message("user", "Be brief.\n\nHello"), SAYS, MORE]),
        (NO_SYSTEM, [SYSTEM], [Message("user", "Be brief.")]),
        (NO_SYSTEM, [SYSTEM, SAYS, ASKS], [Message("user", "Be brief."), SAYS, ASKS]),
        (refusing(("start", "assistant")), [SAYS, ASKS], [Message("user"), SAYS, ASKS]),
        (refusing(("start", "assistant"), empty_user=False), [SAYS, ASKS], [Message("user", "Hi"), ASKS]),
        (refusing(("result", "user")), [ASKS, CALLS, RESULT, MORE], [ASKS, CALLS, RESULT, Message("assistant"), MORE]),
        (
            refusing(("user", "calls")),
            [ASKS, CALLS, RESULT],
            [ASKS, Message("assistant", '{"name":"look","arguments":{"at":"sea"}}'), RESULT],
        ),
        (
            refusing(("user", "calls"), ("assistant", "result"), ("user", "user")),
            [ASKS, replace(CALLS, content="Let me look."), RESULT, MORE],
            [ASKS, Message("assistant", 'Let me look.\n\n{"name":"look","arguments":{"at":"sea"}}'),
             Message("user", "blue\n\nAnd now?")],
        ),
        (refusing(("assistant", "end")), [ASKS, SAYS], [ASKS, SAYS, Message("user")]),
        (refusing(other_roles=False), [Message("narrator", "Night."), ASKS], [Message("user", "Night."), ASKS]),
        (refusing(userless=False), [SYSTEM], [Message("user", "Be brief.")]),
        (refusing(("assistant", "user")), [SYSTEM, ASKS, SAYS, MORE],
         [SYSTEM, Message("user", "Hello\n\nHi\n\nAnd now?")]),
    ],
)  # fmt: skip
def test_only_what_the_template_needs_is_changed(template, asked, made):
    assert list(normal(asked, template, tools=False)) == made


def test_several_calls_of_one_turn_are_written_one_by_one():
    calls = (ToolCall("a", 0, "f", {}), ToolCall("b", 1, "f", {}))
    first, second = (Message("tool", text, tool_call_id=id_) for text, id_ in (("one", "a"), ("two", "b")))
    asked = [ASKS, Message("assistant", "Both.", tool_calls=calls), second, first]
    assert list(normal(asked, refusing(call_lists=False), tools=True)) == [
        ASKS,
        Message("assistant", "Both.", tool_calls=calls[:1]),
        first,
        Message("assistant", tool_calls=calls[1:]),
        second,
    ]


def test_a_system_text_is_the_users_where_tools_would_hide_it():
    shapes = refusing(system_with_tools=False)
    assert normal([SYSTEM, ASKS], shapes, tools=True) == (Message("user", "Be brief.\n\nHello"),)
    assert normal([SYSTEM, ASKS], shapes, tools=False) == (SYSTEM, ASKS)


def test_tools_that_only_a_system_message_shows_get_an_empty_one():
    shapes = refusing(tools_alone=False)
    assert normal([ASKS], shapes, tools=True) == (Message("system"), ASKS)
    assert normal([ASKS], shapes, tools=False) == (ASKS,)


def test_pictures_stay_where_they_stand():
    first, second = Message("user", "This?", images=("a",)), Message("user", "Or [img] this?", images=("b",))
    assert joined([first, second]) == Message("user", "[img]This?\n\nOr [img] this?", images=("a", "b"))


@pytest.mark.parametrize("template", [STRICTEST, refusing(call_lists=False), TURNS])
def test_a_long_conversation_takes_no_longer_than_its_length(template):
    calls = tuple(ToolCall(f"c{number}", number, "f", {}) for number in range(5_000))
    results = [Message("tool", "x", tool_call_id=call.id) for call in reversed(calls)]
    asked = [*[Message("user", "x" * 100)] * 20_000, Message("assistant", tool_calls=calls), *results]
    began = time.process_time()
    normal(asked, template, tools=True)
    assert time.process_time() - began < 5
