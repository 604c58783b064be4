"""What was said becomes the next request."""

from __future__ import annotations

from vllama.cli.chat.conversation import ChatSettings, Conversation


def test_settings_that_nobody_made_are_left_out() -> None:
    conversation = Conversation("mini", ChatSettings())
    conversation.say("hi")
    assert conversation.body() == {"model": "mini", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def test_settings_travel_with_each_request() -> None:
    settings = ChatSettings(options={"seed": 1}, think=False, format="json", keep_alive="1h")
    body = Conversation("mini", settings, system="Be brief.").body()
    assert body == {
        "model": "mini",
        "options": {"seed": 1},
        "think": False,
        "format": "json",
        "keep_alive": "1h",
        "messages": [{"role": "system", "content": "Be brief."}],
        "stream": True,
    }


def test_answers_stay_in_the_conversation_with_their_thinking() -> None:
    conversation = Conversation("mini", ChatSettings())
    conversation.say("hi")
    conversation.heard("hello", "a greeting")
    assert conversation.turns[1] == {"role": "assistant", "content": "hello", "thinking": "a greeting"}


def test_a_question_without_an_answer_is_taken_back() -> None:
    conversation = Conversation("mini", ChatSettings())
    conversation.say("hi")
    conversation.heard("hello", "")
    conversation.say("and now?")
    conversation.heard("", "I was thinking when I was stopped")
    assert [turn["content"] for turn in conversation.turns] == ["hi", "hello"]


def test_forgetting_keeps_the_settings() -> None:
    conversation = Conversation("mini", ChatSettings(think="high"), system="Be brief.")
    conversation.say("hi")
    conversation.forget()
    assert conversation.turns == []
    assert conversation.body()["think"] == "high"
    assert conversation.system == "Be brief."
