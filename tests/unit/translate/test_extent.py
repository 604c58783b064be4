from __future__ import annotations

import gc
import json
import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest
from vllama.translate.arguments import arguments_of
from vllama.translate.decoding import decode
from vllama.translate.extent import MAX_NESTING, MAX_OBJECTS, MAX_VALUES, check_extent, check_nesting, is_heavy
from vllama.translate.ollama.requests import ChatRequest, GenerateRequest
from vllama.translate.openai.requests import read_chat

TWO_MILLION = 2_000_000
HUGE = [
    b'{"model":7,"x":[' + b"[]," * TWO_MILLION + b"[]]}",
    b'{"messages":[' + b"{}," * TWO_MILLION + b"{}]}",
    b'{"images":[' + b'"",' * TWO_MILLION + b'""]}',
    b'{"model":"m",' + b'"q":1,' * TWO_MILLION + b'"prompt":"x"}',
    b'{"options":{' + b'"a":1,' * TWO_MILLION,  # cut off
    b'{"context":[' + b"1," * TWO_MILLION + b"1]} and more",
    b'{"options":{"a":[' + b'"\\\\",' * TWO_MILLION + b"0]}}",
    b"[" * TWO_MILLION,
]


@pytest.mark.parametrize("body", HUGE, ids=lambda body: repr(body[:20]))
def test_a_body_of_millions_of_values_is_refused_before_any_of_them_is_made(body):
    with pytest.raises(BadRequest, match="at most"):  # a decoder would have found first that it is cut off
        decode(body[: len(body) // 2], ChatRequest)
    tracemalloc.start()
    with pytest.raises(BadRequest, match="at most"):
        decode(body, ChatRequest)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(body) + (16 << 20)  # copies of the text, and slots for the strings that are allowed


LONG_TEXT = 'one, two, [three], {four}, "five" \\ ' * 100_000
LEGAL = [
    {"model": "m", "prompt": LONG_TEXT},
    {"model": "m", "prompt": "x", "context": list(range(262_144))},
    {"model": "m", "prompt": "x", "images": ["QUJD" * 1_000_000]},
    {"model": "m", "prompt": '"' * 2_000_000 + "," * 400_000},
]


@pytest.mark.parametrize("asked", LEGAL, ids=lambda asked: str(asked)[:30])
def test_long_texts_contexts_and_images_are_read(asked):
    read = decode(json.dumps(asked).encode(), GenerateRequest)
    assert {key: getattr(read, key) for key in asked} == {
        key: tuple(value) if isinstance(value, list) else value for key, value in asked.items()
    }


def test_the_longest_history_is_read():
    message = {"role": "assistant", "content": LONG_TEXT[:400], "tool_calls": [{"function": {"arguments": {"a": 1}}}]}
    assert len(decode(json.dumps({"messages": [message] * 10_000}).encode(), ChatRequest).messages) == 10_000


def test_bounds_of_values_and_objects():
    check_extent(b"[" + b"0," * (MAX_VALUES - 1) + b"0]")
    with pytest.raises(BadRequest, match=f"more than {MAX_VALUES} JSON values"):
        check_extent(b"[" + b"0," * MAX_VALUES + b"0]")
    with pytest.raises(BadRequest, match=f"{MAX_OBJECTS + 1} JSON objects"):
        check_extent(b"[" + b"{}," * MAX_OBJECTS + b"{}]")


@pytest.mark.parametrize("item", [b"null", b"{}"])
def test_a_list_of_fields_is_short(item):
    body = b'{"messages":[' + b",".join([item] * 10_001) + b"]}"
    with pytest.raises(BadRequest, match="10001 elements in one list; at most 10000"):
        decode(body, ChatRequest)


values = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab,[]{}"\\:\u00e9'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='a,[{"\\'), inner, max_size=4),
    max_leaves=20,
)


def elements(value: object) -> int:
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return len(inside) + (not inside and isinstance(value, dict | list)) + sum(map(elements, inside))


@given(values, st.integers(0, 40))
def test_exactly_what_stands_outside_strings_counts(value, most):
    body = json.dumps(value).encode()
    if elements(value) <= most:
        check_extent(body, most)
    else:
        with pytest.raises(BadRequest):
            check_extent(body, most)


def test_small_requests_are_decoded_at_once_and_long_ones_outside_the_loop():
    assert not is_heavy(b'{"model":"m","prompt":"' + b"a" * 100_000 + b'"}')
    assert is_heavy(b'{"messages":[' + b"{}," * 5_000 + b"{}]}")
    assert is_heavy(b"a" * (1 << 20))


def nested(levels: int, inner: str = "1") -> str:
    return '{"a":' * levels + inner + "}" * levels


@pytest.mark.parametrize("levels", [MAX_NESTING, 500, 1000, 1023, 5000])
@pytest.mark.parametrize("tail", ["", " x"], ids=["quickly", "exactly"])
@pytest.mark.parametrize(
    "body",
    [
        '{"format":%s}',
        '{"options":{"x":%s}}',
        '{"tools":[{"function":{"parameters":{"properties":{"x":{"items":%s}}}}}]}',
        '{"messages":[{"tool_calls":[{"function":{"arguments":%s}}]}]}',
    ],
)
def test_what_could_not_be_written_again_is_not_read(body, levels, tail):
    with pytest.raises(BadRequest, match="the JSON is nested too deeply"):
        decode((body % nested(levels) + tail).encode(), ChatRequest)


def test_properties_of_properties_do_not_exhaust_the_stack():
    deep = '{"properties":{"a":' * 500 + "{}" + "}}" * 500
    with pytest.raises(BadRequest, match="the JSON is nested too deeply"):
        decode(b'{"tools":[{"function":{"parameters":%s}}]}' % deep.encode(), ChatRequest)


@pytest.mark.parametrize("tail", ["", " x"], ids=["quickly", "exactly"])
def test_what_is_read_can_be_written(tail):
    body = b'{"format":%s}%s' % (nested(MAX_NESTING - 1).encode(), tail.encode())
    assert orjson.dumps(decode(body, ChatRequest).format)


def test_many_brackets_next_to_each_other_are_not_deep():
    check_nesting(b"[" * 1000, [[]] * 1000)
    check_nesting(b"[" * 1000, "[" * 1000)


@pytest.mark.parametrize("text", [nested(200), "[" + "[]," * 400_000 + "[]]"], ids=["deep", "long"])
def test_arguments_in_a_string_have_the_same_bounds(text):
    with pytest.raises(BadRequest, match=r"too deeply|at most"):
        arguments_of(text)
    call = {"function": {"name": "f", "arguments": text}}
    with pytest.raises(BadRequest, match=r"too deeply|at most"):
        read_chat(json.dumps({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]}).encode())


def test_halves_of_surrogate_pairs_are_replaced():
    read = rb'{"model":"\ud83d\ud83d\ude00\ude00 \\\ud83d \\\\ude00 \udE00"}'
    assert decode(read, ChatRequest).model == "\ufffd😀\ufffd \\\ufffd \\\\ude00 \ufffd"


def test_escapes_are_counted_before_a_body_is_read_slowly():
    body = b'{"model":"m","format":"%s"}' % (rb"\n" * 600_000)
    assert decode(body, ChatRequest).model == "m"
    with pytest.raises(BadRequest, match="too many escapes"):
        decode(body + b" x", ChatRequest)


def test_a_body_that_is_refused_is_forgotten_at_once():
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        with pytest.raises(BadRequest, match="model: expected a string"):
            decode(b'{"model":7,"format":"%s"}' % (b"a" * (8 << 20)), ChatRequest)
        left = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    finally:
        gc.enable()
    assert left < 1 << 20
