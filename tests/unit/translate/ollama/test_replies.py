from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.ollama.replies import ChatWriter, GenerateWriter
from vllama.translate.pieces import Ending, Piece, Timing, ToolCall
from vllama.translate.whole import gather

NOW = 1795263743_100000000
AT = "2026-11-21T12:22:23.1Z"
TIMING = Timing(total=4, load=1, prompt=2, answer=3)
FINAL = Ending("stop", prompt_tokens=5, completion_tokens=6, token_ids=(1, 2))
CALL = ToolCall("call_a", 0, "f", {"b": 1, "a": "<"})
NUMBERS = (
    '"total_duration":4,"load_duration":1,"prompt_eval_count":5,'
    '"prompt_eval_duration":2,"eval_count":6,"eval_duration":3'
)


def test_chat_lines_are_ollamas_byte_for_byte():
    writer = ChatWriter("Mini:Q4")
    head = f'{{"model":"Mini:Q4","created_at":"{AT}","message":'
    assert writer.piece(Piece("Hi"), NOW).decode() == head + '{"role":"assistant","content":"Hi"},"done":false}'
    assert (
        writer.piece(Piece(thinking="Hm"), NOW).decode()
        == head + '{"role":"assistant","content":"","thinking":"Hm"},"done":false}'
    )
    assert writer.piece(Piece(tool_calls=(CALL,)), NOW).decode() == head + (
        '{"role":"assistant","content":"","tool_calls":[{"id":"call_a","function":'
        '{"index":0,"name":"f","arguments":{"b":1,"a":"\\u003c"}}}]},"done":false}'
    )
    assert writer.last(FINAL, TIMING, NOW).decode() == (
        head + '{"role":"assistant","content":""},"done":true,"done_reason":"stop",' + NUMBERS + "}"
    )
    assert writer.mark("load", NOW).decode() == (
        head + '{"role":"assistant","content":""},"done":true,"done_reason":"load"}'
    )


def test_a_whole_chat_answer_has_logprobs_before_its_numbers():
    whole = gather([Piece("a", logprobs=[{"token": "a", "logprob": -1}]), Piece(thinking="t"), Piece("b")], FINAL)
    reported = json.loads(ChatWriter("m").whole(whole, TIMING, NOW))
    assert list(reported)[:6] == ["model", "created_at", "message", "done", "done_reason", "logprobs"]
    assert reported["message"] == {"role": "assistant", "content": "ab", "thinking": "t"}


def test_generate_lines_are_ollamas_byte_for_byte():
    writer = GenerateWriter("m", context=True)
    head = f'{{"model":"m","created_at":"{AT}","response":'
    assert writer.piece(Piece("Hi"), NOW).decode() == head + '"Hi","done":false}'
    assert writer.piece(Piece(thinking="Hm"), NOW).decode() == head + '"","thinking":"Hm","done":false}'
    assert writer.last(FINAL, TIMING, NOW).decode() == (
        head + '"","done":true,"done_reason":"stop","context":[1,2],' + NUMBERS + "}"
    )
    assert writer.mark("unload", NOW).decode() == head + '"","done":true,"done_reason":"unload"}'


def test_raw_answers_have_no_context():
    assert "context" not in json.loads(GenerateWriter("m").last(FINAL, TIMING, NOW))


def test_zero_counts_are_left_out():
    assert "eval_count" not in json.loads(ChatWriter("m").last(Ending("stop", prompt_tokens=1), TIMING, NOW))


@pytest.mark.parametrize("writer", [ChatWriter("m"), GenerateWriter("m")])
@pytest.mark.parametrize("cached", [0, 128])
def test_what_the_prefix_cache_held_is_reported_where_the_engine_says_it(writer, cached):
    reported = json.loads(writer.last(Ending("stop", 152, 6, cached), TIMING, NOW))
    assert (reported["prompt_eval_count"], reported["prompt_eval_cached_count"]) == (152, cached)
    keys = list(reported)
    assert keys[keys.index("prompt_eval_count") + 1] == "prompt_eval_cached_count"
    assert "prompt_eval_cached_count" not in json.loads(writer.last(Ending("stop", 152, 6), TIMING, NOW))


@given(st.text())
def test_lines_hold_no_line_break_and_say_what_was_given(text):
    for writer in (ChatWriter(text), GenerateWriter(text)):
        line = writer.piece(Piece(text), NOW).decode()
        assert len(line.splitlines()) == 1
        reported = json.loads(line)
        assert reported["model"] == text
        assert (reported["message"]["content"] if "message" in reported else reported["response"]) == text
