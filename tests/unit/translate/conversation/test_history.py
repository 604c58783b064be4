from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.conversation.history import cut_middle, droppable, hopeless, room_for_answer, without_oldest
from vllama.translate.pieces import Message, ToolCall

SYSTEM = Message("system", "s")
TURNS = (Message("user", "1"), Message("assistant", "2"), Message("user", "3"), Message("assistant", "4"))
LAST = Message("user", "now")


def test_the_oldest_turns_go_first_systems_and_the_last_message_stay():
    messages = (SYSTEM, *TURNS, SYSTEM, LAST)
    assert droppable(messages) == 4
    assert [m.content for m in without_oldest(messages, 3)] == ["s", "4", "s", "now"]
    assert without_oldest(messages, 4) == (SYSTEM, SYSTEM, LAST)
    assert without_oldest(messages, 0) == messages


def test_results_go_with_their_call():
    call = Message("assistant", tool_calls=(ToolCall("", 0, "f", {}),))
    result = Message("tool", "r")
    assert without_oldest((Message("user", "q"), call, result, result, Message("user", "next"), LAST), 2) == (
        Message("user", "next"),
        LAST,
    )


@given(st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), min_size=1), st.integers(0, 30))
def test_dropping_keeps_the_order_and_the_last_message(roles, count):
    messages = tuple(Message(role, str(i)) for i, role in enumerate(roles))
    kept = without_oldest(messages, count)
    assert kept[-1] == messages[-1]
    places = [int(m.content) for m in kept]
    assert places == sorted(places)
    assert sum(m.role == "system" for m in kept) == roles.count("system")


@given(st.lists(st.integers(), min_size=8, max_size=200), st.integers(-3, 300))
def test_a_cut_prompt_leaves_half_of_the_context_free(ids, keep):
    context = 8
    cut = cut_middle(ids, keep, context)
    assert len(cut) == 4
    assert cut[-1] == ids[-1]


def test_room_is_what_is_wanted_up_to_a_quarter():
    assert room_for_answer(10, 2048) == 10
    assert room_for_answer(2048, 2048) == 512
    assert room_for_answer(1, 2) == 1


def test_megabytes_are_not_even_counted():
    assert hopeless(100_000_000, 32_768)
    assert not hopeless(100_000, 32_768)
