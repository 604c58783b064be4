from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate.sse_events import datas
from tests.unit.translate.strategies import FINALS, answers, batches
from vllama.translate.openai.completions_replies import completion_answer, completion_streams, text_logprobs
from vllama.translate.openai.replies import ReplyHead
from vllama.translate.pieces import Ending, Piece
from vllama.translate.whole import EMPTY, gather

HEAD = ReplyHead("cmpl-12", 1786705400, "mini")
ENTRIES = [
    {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Ho", "logprob": -0.4}]},
    {"token": "!", "logprob": -1.5, "bytes": [33]},
]


def test_whole_answer_has_ollamas_keys_in_ollamas_order():
    body = completion_answer(HEAD, [gather([Piece(thinking="hm"), Piece(" and calm.")], Ending("stop", 9, 4))])
    assert body == (
        b'{"id":"cmpl-12","object":"text_completion","created":1786705400,"model":"mini",'
        b'"system_fingerprint":"fp_ollama","choices":[{"text":" and calm.","index":0,"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}\n'
    )


def test_an_empty_prompt_is_answered_by_load():
    choice = json.loads(completion_answer(HEAD, [EMPTY], reason="load"))["choices"][0]
    assert choice == {"text": "", "index": 0, "finish_reason": "load"}


def test_logprobs_are_four_parallel_lists_without_those_of_the_thinking():
    pieces = [Piece(thinking="hm", logprobs=[{"token": "hm", "logprob": -9.0}]), Piece("Hi!", logprobs=ENTRIES)]
    choice = json.loads(completion_answer(HEAD, [gather(pieces, Ending("stop"))]))["choices"][0]
    assert choice["logprobs"] == {
        "tokens": ["Hi", "!"],
        "token_logprobs": [-0.5, -1.5],
        "top_logprobs": [{"Ho": -0.4, "Hi": -0.5}, {"!": -1.5}],
        "text_offset": [0, 2],
    }


def test_text_offsets_go_on_where_the_text_before_ended():
    assert text_logprobs(ENTRIES, 7)["text_offset"] == [7, 9]
    (writer,) = completion_streams(HEAD)
    chunks = datas(writer.feed([Piece("abc"), Piece("Hi", logprobs=ENTRIES[:1])]))
    assert chunks[1]["choices"][0]["logprobs"]["text_offset"] == [3]


def test_the_last_chunk_of_text_carries_the_reason():
    (writer,) = completion_streams(HEAD)
    chunks = datas(writer.start() + writer.feed([Piece("a")]) + writer.finish(Ending("length")))
    assert [chunk["choices"][0] for chunk in chunks[:-1]] == [
        {"text": "a", "index": 0, "finish_reason": None},
        {"text": "", "index": 0, "finish_reason": "length"},
    ]
    assert list(chunks[0]) == ["id", "object", "created", "choices", "model", "system_fingerprint"]
    assert chunks[-1] == "[DONE]"


def test_thinking_shows_as_an_empty_chunk():
    assert datas(completion_streams(HEAD)[0].feed([Piece(thinking="h"), Piece(thinking="m")]))[0]["choices"] == [
        {"text": "", "index": 0, "finish_reason": None}
    ]


def test_usage_is_real_in_a_last_chunk_of_its_own():
    (writer,) = completion_streams(HEAD, include_usage=True)
    chunks = datas(writer.feed([Piece("a")]) + writer.finish(Ending("stop", 9, 2)))
    assert chunks[0]["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert chunks[2]["choices"] == []
    assert chunks[2]["usage"] == {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def test_a_failure_in_mid_stream_is_reported_and_done_is_not():
    assert datas(completion_streams(HEAD)[0].fail(400, "no"))[-1]["error"]["type"] == "invalid_request_error"


@given(st.data(), answers(), FINALS)
def test_any_cut_of_the_pieces_gives_the_whole_text_and_one_reason(data, pieces, final):
    (writer,) = completion_streams(HEAD)
    chunks = datas(b"".join([writer.feed(batch) for batch in data.draw(batches(pieces))]) + writer.finish(final))
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert "".join(choice["text"] for choice in choices) == gather(pieces, final).content
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + [final.reason]
