from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate.sse_events import datas
from tests.unit.translate.strategies import FINALS, answers, batches
from vllama.translate.openai.replies import ReplyHead, chat_answer, chat_streams, error_body
from vllama.translate.pieces import Ending, Piece, ToolCall
from vllama.translate.whole import gather

HEAD = ReplyHead("chatcmpl-1", 1786705200, "mini")
CALL = ToolCall("call_q0w8e1r7", 0, "tide_at", {"port": "Brest"})
LOGPROBS = [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}]


def stream(*pieces: Piece, final: Ending, include_usage: bool = False) -> list:
    (writer,) = chat_streams(HEAD, include_usage=include_usage)
    return datas(writer.start() + writer.feed(pieces) + writer.finish(final))


def deltas(chunks: list) -> list:
    return [chunk["choices"][0]["delta"] for chunk in chunks[:-1] if chunk["choices"]]


def test_whole_answer_has_ollamas_keys_in_ollamas_order():
    body = chat_answer(HEAD, [gather([Piece("Par"), Piece("is")], Ending("stop", 9, 3))])
    assert body == (
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1786705200,"model":"mini",'
        b'"system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant","content":"Paris"},'
        b'"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}\n'
    )


def test_calls_are_whole_and_content_next_to_them_is_an_empty_string():
    choice = json.loads(chat_answer(HEAD, [gather([Piece(tool_calls=(CALL,))], Ending("stop"))]))["choices"][0]
    assert choice["message"]["content"] == ""
    assert choice["message"]["tool_calls"] == [
        {
            "id": "call_q0w8e1r7",
            "index": 0,
            "type": "function",
            "function": {"name": "tide_at", "arguments": '{"port":"Brest"}'},
        }
    ]
    assert choice["finish_reason"] == "tool_calls"


def test_an_answer_cut_by_length_says_so_even_next_to_calls():
    body = json.loads(chat_answer(HEAD, [gather([Piece(tool_calls=(CALL,))], Ending("length"))]))
    assert body["choices"][0]["finish_reason"] == "length"


def test_several_choices_share_one_prompt_in_the_usage():
    wholes = [gather([Piece(text)], Ending("stop", 10, 2)) for text in "ab"]
    body = json.loads(chat_answer(HEAD, wholes))
    assert [(c["index"], c["message"]["content"]) for c in body["choices"]] == [(0, "a"), (1, "b")]
    assert body["usage"] == {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


def test_cached_prompt_tokens_are_reported_when_there_are_any():
    body = json.loads(chat_answer(HEAD, [gather([], Ending("stop", 40, 2, 16))]))
    assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 16}


def test_logprobs_stand_in_the_choice():
    body = json.loads(chat_answer(HEAD, [gather([Piece("Hi", logprobs=LOGPROBS)], Ending("stop"))]))
    assert body["choices"][0]["logprobs"] == {"content": LOGPROBS}


def test_only_the_first_chunk_has_a_role():
    chunks = stream(Piece("a"), Piece("b"), final=Ending("stop"))
    assert deltas(chunks) == [{"role": "assistant", "content": "a"}, {"content": "b"}, {}]


def test_thinking_comes_with_empty_content():
    chunks = stream(Piece(thinking="hm"), Piece("4"), final=Ending("stop"))
    assert deltas(chunks)[:2] == [{"role": "assistant", "content": "", "reasoning": "hm"}, {"content": "4"}]


def test_a_piece_with_thinking_and_content_becomes_two_chunks():
    chunks = stream(Piece("4", "hm"), final=Ending("stop"))
    assert deltas(chunks)[:2] == [{"role": "assistant", "content": "", "reasoning": "hm"}, {"content": "4"}]


def test_the_reason_comes_in_a_chunk_of_its_own_then_usage_then_done():
    chunks = stream(Piece("a"), final=Ending("length", 3, 1), include_usage=True)
    assert chunks[1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "length"}]
    assert chunks[2]["choices"] == []
    assert chunks[2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    assert chunks[3] == "[DONE]"


def test_without_include_usage_no_chunk_has_usage():
    assert not any("usage" in chunk for chunk in stream(Piece("a"), final=Ending("stop")))


def test_an_empty_answer_still_opens_with_a_role():
    assert deltas(stream(final=Ending("stop"))) == [{"role": "assistant", "content": ""}, {}]


def test_streamed_logprobs_come_with_their_delta():
    chunk = stream(Piece("Hi", logprobs=LOGPROBS), final=Ending("stop"))[0]
    assert chunk["choices"][0] == {
        "index": 0,
        "delta": {"role": "assistant", "content": "Hi"},
        "finish_reason": None,
        "logprobs": {"content": LOGPROBS},
    }


def test_a_failure_in_mid_stream_is_reported_and_done_is_not():
    (writer,) = chat_streams(HEAD)
    chunks = datas(writer.feed([Piece("a")]) + writer.fail(500, "the engine is gone"))
    assert chunks[-1] == {
        "error": {"message": "the engine is gone", "type": "api_error", "param": None, "code": None},
    }


def test_choices_end_one_by_one_and_done_comes_once():
    first, second = chat_streams(HEAD, choices=2, include_usage=True)
    out = second.feed([Piece("a")]) + first.feed([Piece("b")])
    out += second.finish(Ending("stop", 5, 1)) + first.finish(Ending("length", 5, 1))
    chunks = datas(out)
    assert [c["choices"][0]["index"] for c in chunks[:4]] == [1, 0, 1, 0]
    assert chunks[4]["usage"]["completion_tokens"] == 2
    assert chunks[5:] == ["[DONE]"]


def test_line_separators_and_tags_are_escaped():
    raw = chat_streams(HEAD)[0].feed([Piece("<b>\u2028")])
    assert b"\\u003cb\\u003e\\u2028" in raw


def test_error_types_follow_the_status():
    kinds = [error_body(status, "x")["error"]["type"] for status in (400, 404, 403, 500, 503)]
    assert kinds == ["invalid_request_error", "not_found_error", "api_error", "api_error", "api_error"]


@given(st.data(), answers(), FINALS)
def test_any_cut_of_the_pieces_gives_the_same_bytes_and_the_whole_text(data, pieces, final):
    whole = gather(pieces, final)
    (writer,) = chat_streams(HEAD)
    out = b"".join([writer.feed(batch) for batch in data.draw(batches(pieces))]) + writer.finish(final)
    (once,) = chat_streams(HEAD)
    assert out == once.feed(pieces) + once.finish(final)
    chunks = datas(out)
    assert "".join(d.get("content", "") for d in deltas(chunks)) == whole.content
    assert "".join(d.get("reasoning", "") for d in deltas(chunks)) == whole.thinking
    calls = [call for d in deltas(chunks) for call in d.get("tool_calls", [])]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [c.arguments for c in whole.tool_calls]
    assert [bool(c["choices"][0]["finish_reason"]) for c in chunks[:-1]] == [False] * (len(chunks) - 2) + [True]
