from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate.sse_events import events
from tests.unit.translate.strategies import FINALS, answers, batches
from vllama.translate.anthropic.replies import MessageStream, error_body, message_answer
from vllama.translate.pieces import Ending, Piece, ToolCall
from vllama.translate.whole import gather

CALL = ToolCall("call_k3v9x0qa", 0, "tide_at", {"port": "Brest"})


def writer() -> MessageStream:
    return MessageStream("msg_1", "mini", input_estimate=9, request_id="req_1")


def test_blocks_come_in_order_thinking_text_calls():
    whole = gather([Piece(thinking="Look."), Piece("So."), Piece(tool_calls=(CALL,))], Ending("stop", 212, 34))
    assert message_answer("msg_5b", "thinker", whole) == (
        b'{"id":"msg_5b","type":"message","role":"assistant","model":"thinker","content":['
        b'{"type":"thinking","thinking":"Look."},{"type":"text","text":"So."},'
        b'{"type":"tool_use","id":"call_k3v9x0qa","name":"tide_at","input":{"port":"Brest"}}],'
        b'"stop_reason":"tool_use","usage":{"input_tokens":212,"output_tokens":34}}\n'
    )


def test_what_came_from_the_prefix_cache_is_no_part_of_the_input():
    def usage(final: Ending) -> dict:
        return json.loads(message_answer("msg_1", "mini", gather([], final)))["usage"]

    assert usage(Ending("stop", 152, 6, 128)) == {
        "input_tokens": 24,
        "output_tokens": 6,
        "cache_read_input_tokens": 128,
    }
    for nothing in (None, 0):
        assert usage(Ending("stop", 152, 6, nothing)) == {"input_tokens": 152, "output_tokens": 6}


def test_an_empty_answer_has_an_empty_list():
    body = json.loads(message_answer("msg_1", "mini", gather([], Ending("length"))))
    assert body["content"] == []
    assert body["stop_reason"] == "max_tokens"


def test_a_matched_stop_sequence_is_named():
    body = json.loads(message_answer("msg_1", "mini", gather([Piece("1")], Ending("stop", stop_text=" 6"))))
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", " 6")


def test_a_stream_is_framed_by_message_and_blocks():
    w = writer()
    out = w.start() + w.feed([Piece("Hel"), Piece("lo")]) + w.finish(Ending("stop", 14, 2))
    assert events(out) == [
        (
            "message_start",
            {
                "type": "message_start",
                "message": {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "model": "mini",
                    "content": [],
                    "usage": {"input_tokens": 9, "output_tokens": 0},
                },
            },
        ),
        (
            "content_block_start",
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ),
        *(
            (
                "content_block_delta",
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            )
            for text in ("Hel", "lo")
        ),
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        (
            "message_delta",
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"input_tokens": 14, "output_tokens": 2},
            },
        ),
        ("message_stop", {"type": "message_stop"}),
    ]


def test_a_call_is_one_block_with_its_arguments_at_once():
    out = events(writer().feed([Piece(tool_calls=(CALL,))]))
    assert [data for _, data in out] == [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "call_k3v9x0qa", "name": "tide_at", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '{"port":"Brest"}'},
        },
        {"type": "content_block_stop", "index": 0},
    ]


def test_a_failure_in_mid_stream_is_an_error_event():
    w = writer()
    assert events(w.feed([Piece("a")]) + w.fail(503, "busy"))[-1] == (
        "error",
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}, "request_id": "req_1"},
    )


def test_error_types_follow_the_status():
    kinds = [error_body(s, "x", "req_1")["error"]["type"] for s in (400, 401, 403, 404, 413, 429, 503, 500)]
    assert kinds == [
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "request_too_large",
        "rate_limit_error",
        "overloaded_error",
        "api_error",
    ]


@given(st.data(), answers(), FINALS)
def test_any_cut_of_the_pieces_gives_the_same_bytes_and_well_formed_blocks(data, pieces, final):
    w, once = writer(), writer()
    out = w.start() + b"".join([w.feed(batch) for batch in data.draw(batches(pieces))]) + w.finish(final)
    assert out == once.start() + once.feed(pieces) + once.finish(final)
    texts = {"text": "", "thinking": ""}
    calls, opened = [], None
    reported = events(out)
    assert (reported[0][0], reported[-2][0], reported[-1][0]) == ("message_start", "message_delta", "message_stop")
    count = 0
    for name, event in reported[1:-2]:
        assert name == event["type"]
        if name == "content_block_start":
            assert opened is None
            assert event["index"] == count
            opened, count = event["content_block"]["type"], count + 1
        elif name == "content_block_delta":
            assert event["index"] == count - 1
            delta = event["delta"]
            if opened == "tool_use":
                calls.append(json.loads(delta["partial_json"]))
            else:
                texts[opened] += delta[opened]
        else:
            assert (name, event["index"]) == ("content_block_stop", count - 1)
            opened = None
    assert opened is None
    whole = gather(pieces, final)
    assert texts == {"text": whole.content, "thinking": whole.thinking}
    assert calls == [call.arguments for call in whole.tool_calls]
