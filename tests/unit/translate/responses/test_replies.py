from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate.sse_events import events
from tests.unit.translate.strategies import FINALS, answers, batches
from vllama.translate.pieces import Ending, Piece, ToolCall
from vllama.translate.responses.replies import Echo, ResponseHead, ResponseStream, response_answer
from vllama.translate.whole import gather

HEAD = ResponseHead("20", 1786705500, Echo("mini", instructions="Be brief."))
CALL = ToolCall("call_k3v9x0qa", 0, "tide_at", {"port": "Brest"})


def test_whole_answer_has_ollamas_keys_in_ollamas_order():
    body = response_answer(HEAD, gather([Piece("Done.")], Ending("stop", 18, 3)), completed=1786705501)
    assert body == (
        b'{"id":"resp_20","object":"response","created_at":1786705500,"completed_at":1786705501,'
        b'"status":"completed","incomplete_details":null,"model":"mini","previous_response_id":null,'
        b'"instructions":"Be brief.","output":[{"id":"msg_20","type":"message","status":"completed",'
        b'"role":"assistant","content":[{"type":"output_text","text":"Done.","annotations":[],"logprobs":[]}]}],'
        b'"error":null,"tools":[],"tool_choice":"auto","truncation":"disabled","parallel_tool_calls":true,'
        b'"text":{"format":{"type":"text"}},"top_p":1,"presence_penalty":0,"frequency_penalty":0,'
        b'"top_logprobs":0,"temperature":1,"reasoning":null,"usage":{"input_tokens":18,"output_tokens":3,'
        b'"total_tokens":21,"input_tokens_details":{"cached_tokens":0},'
        b'"output_tokens_details":{"reasoning_tokens":0}},"max_output_tokens":null,"max_tool_calls":null,'
        b'"store":false,"background":false,"service_tier":"default","metadata":{},"safety_identifier":null,'
        b'"prompt_cache_key":null}\n'
    )


def test_thinking_text_and_calls_are_items_in_this_order():
    pieces = [Piece(thinking="Hm."), Piece("Wait."), Piece(tool_calls=(CALL,))]
    output = json.loads(response_answer(HEAD, gather(pieces, Ending("stop")), completed=1))["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call"]
    assert output[0]["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert output[0]["encrypted_content"] == "Hm."
    assert output[2] == {
        "id": "fc_20_0",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_k3v9x0qa",
        "name": "tide_at",
        "arguments": '{"port":"Brest"}',
    }


def test_a_stream_announces_itself_and_ends_with_the_whole_response():
    writer = ResponseStream(HEAD, lambda: 9)
    out = events(writer.start() + writer.feed([Piece("Do"), Piece("ne")]) + writer.finish(Ending("stop")))
    assert [name for name, _ in out] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert out[0][1]["response"]["status"] == "in_progress"
    assert out[4][1] == {
        "content_index": 0,
        "delta": "Do",
        "item_id": "msg_20",
        "logprobs": [],
        "output_index": 0,
        "sequence_number": 4,
        "type": "response.output_text.delta",
    }
    assert out[-1][1]["response"]["output"][0]["content"][0]["text"] == "Done"


def test_a_streamed_effort_comes_with_a_summary():
    writer = ResponseStream(ResponseHead("20", 1, Echo("mini", reasoning={"effort": "none"})), lambda: 9)
    assert events(writer.start())[0][1]["response"]["reasoning"] == {"effort": "none", "summary": None}


def test_an_answer_without_text_or_call_gets_an_empty_message():
    writer = ResponseStream(HEAD, lambda: 9)
    out = events(writer.start() + writer.feed([Piece(thinking="hm")]) + writer.finish(Ending("length")))
    assert [item["type"] for item in out[-1][1]["response"]["output"]] == ["reasoning", "message"]


def test_a_failure_in_mid_stream_ends_in_response_failed():
    writer = ResponseStream(HEAD, lambda: 9)
    out = events(writer.start() + writer.feed([Piece("so")]) + writer.fail(500, "gone"))
    name, last = out[-1]
    assert name == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "gone"}
    assert last["response"]["output"][0]["content"][0]["text"] == "so"


@given(st.data(), answers(), FINALS)
def test_any_cut_of_the_pieces_gives_the_same_bytes_and_well_formed_items(data, pieces, final):
    writer, once = ResponseStream(HEAD, lambda: 9), ResponseStream(HEAD, lambda: 9)
    out = writer.start() + b"".join([writer.feed(b) for b in data.draw(batches(pieces))])
    out += writer.finish(final)
    assert out == once.start() + once.feed(pieces) + once.finish(final)
    reported = events(out)
    assert [event["sequence_number"] for _, event in reported] == list(range(len(reported)))
    items = {}
    opened = None
    for name, event in reported[2:-1]:
        assert name == event["type"]
        if name == "response.output_item.added":
            assert opened is None
            assert event["output_index"] == len(items)
            opened = event["item"]["id"]
            assert opened not in {item["id"] for item in items.values()}
        elif name == "response.output_item.done":
            assert event["item"]["id"] == opened
            items[event["output_index"]] = event["item"]
            opened = None
        else:
            assert event["item_id"] == opened
    assert opened is None
    output = reported[-1][1]["response"]["output"]
    assert output == list(items.values())
    whole = gather(pieces, final)
    deltas = {"text": "", "summary": ""}
    for name, event in reported:
        if name.endswith("_text.delta"):
            deltas["summary" if "summary" in name else "text"] += event["delta"]
    assert deltas == {"text": whole.content, "summary": whole.thinking}
    assert [json.loads(i["arguments"]) for i in output if i["type"] == "function_call"] == [
        call.arguments for call in whole.tool_calls
    ]


def test_the_usage_reports_what_came_from_the_prefix_cache():
    body = json.loads(response_answer(HEAD, gather([Piece("Done.")], Ending("stop", 152, 3, 128)), completed=1))
    assert body["usage"]["input_tokens_details"] == {"cached_tokens": 128}
