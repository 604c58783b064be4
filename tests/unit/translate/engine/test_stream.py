from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate.chunks import call, chat, logprobs, sse, text, usage
from vllama.engine.client import engine_error
from vllama.engine.sse import SseCutter
from vllama.errors import EngineError, EngineGone, EngineRefused
from vllama.translate.engine.stream import ChatReader, TextReader
from vllama.translate.engine.thinking import ThinkingSplitter
from vllama.translate.pieces import Ending, Piece, Step, ToolCall


def read_chat(payloads: list[bytes], **options: Any) -> list[Step]:
    return read(ChatReader(engine_error, **options), payloads)


def read_text(payloads: list[bytes], **options: Any) -> list[Step]:
    return read(TextReader(engine_error, **options), payloads)


def read(reader: ChatReader | TextReader, payloads: list[bytes]) -> list[Step]:
    steps = [step for payload in payloads for step in reader.feed([payload])]
    if reader.failure is not None:
        raise reader.failure
    return steps


ROLE = chat({"role": "assistant", "content": ""})


def test_content_arrives_piece_by_piece_and_the_end_has_the_engines_counts():
    steps = read_chat([ROLE, chat({"content": "Hello"}), chat({"content": "!"}), chat({}, "stop"), usage(16, 3)])
    assert steps[:-1] == [Piece("Hello"), Piece("!")]
    final = steps[-1]
    assert isinstance(final, Ending)
    assert (final.reason, final.prompt_tokens, final.completion_tokens) == ("stop", 16, 3)
    assert (final.prefill_ns, final.decode_ns, final.queue_ns) == (10_500_000, 20_000_000, 1_000_000)


def test_the_last_chunk_may_carry_text():
    assert read_chat([chat({"content": "ab"}, "length"), usage()])[0] == Piece("ab")


def test_a_single_token_takes_at_least_one_interval():
    metrics = {"time_to_first_token_ms": 1.0, "generation_time_ms": 0.0, "mean_itl_ms": 2.0}
    final = read_chat([chat({"content": "a"}, "stop"), usage(metrics=metrics)])[-1]
    assert isinstance(final, Ending)
    assert final.decode_ns == 2_000_000


def test_thinking_is_apart_and_white_space_after_the_tags_is_dropped():
    steps = read_chat(
        [
            ROLE,
            chat({}),
            chat({"reasoning": "\n"}),
            chat({"reasoning": "Hm"}),
            chat({"reasoning": ".\n"}),
            chat({}),
            chat({"content": "\n"}),
            chat({"content": "\n Hi"}),
            chat({"content": " you"}),
            chat({}, "stop"),
            usage(),
        ],
        thinking=True,
    )
    assert steps[:-1] == [Piece(thinking="Hm"), Piece(thinking=".\n"), Piece("Hi"), Piece(" you")]


def test_white_space_at_the_head_stays_where_nothing_was_thought():
    assert read_chat([chat({"content": "\n a"}, "stop"), usage()])[0] == Piece("\n a")


def test_calls_come_whole_and_numbered():
    steps = read_chat(
        [
            chat(call(0, "f", call_id="chatcmpl-tool-1")),
            chat(call(0, arguments='{"city": ')),
            chat(call(0, arguments='"Paris"}')),
            chat({"content": "\n"}),
            chat(call(1, "g", call_id="chatcmpl-tool-2")),
            chat({}, "tool_calls"),
            usage(),
        ]
    )
    calls = [c for step in steps if isinstance(step, Piece) for c in step.tool_calls]
    assert [(c.index, c.name, c.arguments) for c in calls] == [(0, "f", {"city": "Paris"}), (1, "g", {})]
    assert all(c.id.startswith("call_") and len(c.id) == 13 for c in calls)
    assert calls[0].id != calls[1].id
    assert not any(step.content for step in steps if isinstance(step, Piece))
    assert steps[-1].reason == "stop"


@pytest.mark.parametrize("arguments", ['{"a', '"a"'])
def test_a_call_cut_by_the_token_limit_is_dropped(arguments):
    steps = read_chat([chat(call(0, "f")), chat(call(0, arguments=arguments)), chat({}, "length"), usage()])
    assert [type(step) for step in steps] == [Ending]
    assert steps[0].reason == "length"


@pytest.mark.parametrize("arguments", ['{"a', "[1]", '"x"'])
def test_arguments_that_are_no_object_fail_the_answer(arguments):
    with pytest.raises(EngineError, match="error parsing tool call"):
        read_chat([chat(call(0, "f")), chat(call(0, arguments=arguments)), chat({}, "tool_calls")])


def test_logprobs_leave_out_tags_ends_and_half_characters():
    steps = read_chat(
        [
            ROLE,
            chat({}, logprobs=logprobs("<think>")),
            chat({"reasoning": "\n"}, logprobs=logprobs("\n")),
            chat({"reasoning": "Hm"}, logprobs=logprobs("Hm")),
            chat({}, logprobs=logprobs("</think>")),
            chat({"content": "\n\n"}, logprobs=logprobs("\n\n")),
            chat({}, logprobs=logprobs("")),
            chat({"content": " 🦙"}, logprobs=logprobs(" 🦙")),
            chat({}, "stop", logprobs=logprobs("<|im_end|>")),
            usage(),
        ],
        thinking=True,
    )
    entries = [e["token"] for step in steps if isinstance(step, Piece) for e in step.logprobs or []]
    assert entries == ["Hm", " 🦙"]
    assert steps[0].logprobs == [{"token": "Hm", "logprob": -0.5, "bytes": [72, 109]}]


def test_logprobs_of_withheld_text_come_with_the_call():
    steps = read_chat(
        [
            chat({}, logprobs=logprobs("<tool_call>")),
            chat(call(0, "f"), logprobs=logprobs("f")),
            chat({}, "tool_calls", logprobs=logprobs("<|im_end|>")),
            usage(),
        ]
    )
    assert [e["token"] for e in steps[0].logprobs] == ["<tool_call>", "f"]


def test_alternatives_are_sorted_and_as_many_as_asked_for():
    entry = {"token": "a", "logprob": -1.0, "bytes": [97]}
    others = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in (("c", -3.0), ("a", -1.0), ("b", -2.0))]
    entries = {"content": [{**entry, "top_logprobs": others}]}
    steps = read_chat([chat({"content": "a"}, logprobs=entries), chat({}, "stop"), usage()], top_logprobs=2)
    assert [t["token"] for t in steps[0].logprobs[0]["top_logprobs"]] == ["a", "b"]


def test_half_a_character_at_the_token_limit_is_not_shown():
    assert read_chat([chat({"content": "a\ufffd"}, "length"), usage()])[0] == Piece("a")


def test_token_ids_are_those_of_prompt_and_answer_without_the_end():
    first = orjson.dumps({**orjson.loads(ROLE), "prompt_token_ids": [1, 2]})
    steps = read_chat(
        [
            first,
            chat({"content": "a"}, token_ids=[3]),
            chat({"content": "b"}, token_ids=[4]),
            chat({}, "stop", token_ids=[9]),
            usage(),
        ]
    )
    assert steps[-1].token_ids == (1, 2, 3, 4)


def test_an_error_in_the_stream_is_raised():
    refused = b'{"error":{"message":"Grammar error: no","type":"BadRequestError","code":400}}'
    with pytest.raises(EngineRefused) as caught:
        read_chat([refused])
    assert caught.value.http_status == 400


@pytest.mark.parametrize(
    "wrong", [b'{"error":{"message":"no","code":500}}', b"{cut", b'{"choices":[5]}', chat({}, "abort")]
)
def test_what_came_in_one_read_with_an_error_comes_before_it(wrong):
    reader = ChatReader(engine_error)
    assert reader.feed([ROLE, chat({"content": "a"}), wrong]) == [Piece("a")]
    assert isinstance(reader.failure, EngineError)
    text_reader = TextReader(engine_error)
    assert text_reader.feed([text("a"), wrong]) == [Piece("a")]
    assert isinstance(text_reader.failure, EngineError)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_aborted_answer_is_no_answer(reason):
    with pytest.raises(EngineGone):
        read_chat([chat({"content": "a"}), chat({}, reason)])


def test_usage_without_an_end_is_an_error():
    with pytest.raises(EngineError):
        read_chat([chat({"content": "a"}), usage()])


def test_completions_are_read_alike():
    lp = {"tokens": ["a", "b"], "token_logprobs": [-1, -2], "top_logprobs": [{"a": -1, "x": -4}, {"b": -2}]}
    steps = read_text([text("ab", logprobs=lp), text("", "stop", stop_reason="END"), usage()], top_logprobs=1)
    assert steps[0].content == "ab"
    assert steps[0].logprobs[0] == {
        "token": "a",
        "logprob": -1,
        "bytes": [97],
        "top_logprobs": [{"token": "a", "logprob": -1, "bytes": [97]}],
    }
    assert steps[-1].stop_text == "END"


def test_thinking_in_a_completion_is_cut_out():
    chunks = [text(part) for part in ("<th", "ink>\nHm", ".</think", ">\n\nHi")]
    steps = read_text([*chunks, text("", "stop"), usage()], splitter=ThinkingSplitter())
    pieces = [step for step in steps if isinstance(step, Piece)]
    assert "".join(p.thinking for p in pieces) == "Hm."
    assert "".join(p.content for p in pieces) == "Hi"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 5) | st.sampled_from(["", "stop", "length", "tool_calls", "x"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("choices", "delta", "content", "reasoning", "tool_calls", "index", "function", "name", "text"),
                    *("finish_reason", "logprobs", "token", "logprob", "usage", "metrics", "error", "token_ids"),
                )
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.lists(json_values.map(orjson.dumps) | st.binary(max_size=20), max_size=4))
def test_whatever_an_engine_sends_is_read_or_is_its_fault(payloads):
    for reader in (ChatReader(engine_error), TextReader(engine_error, splitter=ThinkingSplitter())):
        assert all(isinstance(step, Piece | Ending) for step in reader.feed(payloads))
        assert reader.failure is None or isinstance(reader.failure, EngineError)


def folded(steps: list[Step]) -> tuple[str, str, list[ToolCall], Ending]:
    pieces = [step for step in steps if isinstance(step, Piece)]
    (final,) = [step for step in steps if isinstance(step, Ending)]
    calls = [c for p in pieces for c in p.tool_calls]
    return "".join(p.content for p in pieces), "".join(p.thinking for p in pieces), calls, final


ANSWER = [
    ROLE,
    chat({"reasoning": "\nwarum 🤔"}),
    chat({"content": "\n\nGrüße 🦙 \u2028"}),
    chat(call(0, "f", call_id="a")),
    chat(call(0, arguments='{"x": "ä"}')),
    chat({}, "tool_calls"),
    usage(7, 9),
]


def test_every_byte_border_gives_the_same_answer():
    data = sse(ANSWER)
    expected = folded(read_chat(ANSWER, thinking=True))
    for cut in range(1, len(data)):
        cutter, reader = SseCutter(), ChatReader(engine_error, thinking=True)
        steps: list[Step] = []
        for part in (data[:cut], data[cut:]):
            steps += reader.feed([payload for payload in cutter.feed(part) if payload != b"[DONE]"])
        assert folded(steps) == expected


@given(st.lists(st.text(min_size=1, max_size=5), max_size=10), st.integers(1, 50))
def test_content_is_never_changed(parts, size):
    data = sse([ROLE, *(chat({"content": part}) for part in parts), chat({}, "stop"), usage()])
    cutter, reader = SseCutter(), ChatReader(engine_error)
    steps: list[Step] = []
    for at in range(0, len(data), size):
        steps += reader.feed([p for p in cutter.feed(data[at : at + size]) if p != b"[DONE]"])
    assert folded(steps)[0] == "".join(parts)


@pytest.mark.parametrize(
    ("offered", "reported"), [((), "f"), (("g",), "f"), (("",), ""), (("", "g"), ""), (("", "f"), "f")]
)
def test_a_call_by_an_unknown_name_is_that_of_the_tool_without_a_name(offered, reported):
    (step, _) = read_chat([chat(call(0, "f", "{}")), chat({}, "tool_calls"), usage()], offered=offered)
    assert [c.name for c in step.tool_calls] == [reported]


PLAIN = st.text(min_size=0, max_size=12) | st.sampled_from(
    ['"', "\\", '","role":"x', '"}', "\n", "\u2028", " hello", "é", "\0"]
)
CHUNKS = st.one_of(
    PLAIN.map(lambda content: chat({"content": content})),
    PLAIN.map(lambda content: chat({"content": content, "role": content})),
    PLAIN.map(lambda content: chat({"reasoning": content})),
    PLAIN.map(lambda content: chat({"content": content}, logprobs=logprobs(content or "x"))),
    st.sampled_from([call(0, "f", "{}"), {"content": None}]).map(chat),
    st.sampled_from(['"delta":{"content":"x"', '{"content":"']).map(lambda words: chat({"content": words}, note=words)),
)


@given(st.lists(CHUNKS, max_size=12), st.booleans())
def test_chunks_that_look_like_the_last_one_say_what_a_parser_finds_in_them(payloads, thinking):
    """Each white space before a chunk makes it unlike the one before, so that it is parsed."""
    parsed = [b" " * number + payload for number, payload in enumerate(payloads)]
    assert read_chat(payloads, thinking=thinking) == read_chat(parsed, thinking=thinking)


def test_a_plain_chunk_that_is_no_text_is_reported_as_unreadable():
    good = chat({"content": "good"})
    with pytest.raises(EngineError):
        read_chat([good, good.replace(b"good", b"\xff")])
