from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vllama.errors import BadRequest
from vllama.translate.decoding import EMPTY, MAX_ITEMS, Body, Integer, Items, Object, decode
from vllama.translate.images import Image
from vllama.translate.ollama.requests import ChatRequest, CreateRequest


class Turn(Body):
    role: str = ""
    content: str = ""
    images: Items[Image] = ()


class Chat(Body):
    model: str = ""
    messages: Items[Turn] = ()
    stream: bool | None = None
    top_logprobs: Integer = 0
    temperature: float = 0.0
    options: Object = EMPTY
    value: Any = None


def refused(body: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        decode(body, Chat)
    assert caught.value.http_status == 400
    return caught.value.message


@pytest.mark.parametrize("body", [b"", b" \n\t "])
def test_a_body_without_a_value_is_missing(body):
    assert refused(body) == "missing request body"


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":',
        b'{"model":"x',
        b"hello",
        b"\xef\xbb\xbf{}",
        b"\x1f\x8b",
        b'{"model" "x"}',
        b'{"model":NaN}',
        b'{"options":{"x":-Infinity}}',
        b'{"top_logprobs":01}',
        b'{"model":"x",}',
        b'{"messages":[1 2]}',
        b'{"model":tru}',
        b'{"model":"\x01"}',
        b'{"model":"\\x"}',
        b'{"top_logprobs":1.}',
        b"'",
    ],
)
def test_what_is_no_json_is_refused_with_its_place(body):
    assert refused(body).startswith("the request is not valid JSON: ")


def test_the_place_of_a_wrong_character_is_counted_from_one():
    assert refused(b'{"model" "x"}') == "the request is not valid JSON: Expecting ':' delimiter at character 10"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[]", "the request: expected an object, got a list"),
        (b"5", "the request: expected an object, got a number"),
        (b'{"model":5}', "model: expected a string, got a number"),
        (b'{"messages":"hi"}', "messages: expected a list, got a string"),
        (b'{"messages":["hi"]}', "messages[0]: expected an object, got a string"),
        (b'{"messages":[{},{"content":[]}]}', "messages[1].content: expected a string, got a list"),
        (b'{"messages":[{"images":"x"}]}', "messages[0].images: expected a list, got a string"),
        (b'{"messages":[{"images":["data:x"]}]}', "illegal base64 data at input byte 4"),
        (b'{"stream":"no"}', "stream: expected a boolean, got a string"),
        (b'{"stream":0}', "stream: expected a boolean, got a number"),
        (b'{"options":[]}', "options: expected an object, got a list"),
        (b'{"top_logprobs":3.5}', "top_logprobs: expected a whole number, got 3.5"),
        (b'{"top_logprobs":true}', "top_logprobs: expected a whole number, got a boolean"),
        (
            b'{"top_logprobs":9223372036854775808}',
            "top_logprobs: expected a whole number of 64 bits, got 92233720368547",
        ),
        (b'{"temperature":"x"}', "temperature: expected a number, got a string"),
        (b'{"options":{"t":1e999}}', "the request holds a number that is out of range: 1e999"),
    ],
)
def test_a_wrong_type_is_named_with_its_field(body, text):
    assert refused(body).startswith(text)


def test_the_first_of_several_wrong_types_is_named():
    assert refused(b'{"model":5,"stream":"x"}').startswith("model: ")


def test_a_list_of_wrong_elements_is_refused_for_its_first_one():
    assert refused(json.dumps({"messages": [5] * MAX_ITEMS}).encode()).startswith("messages[0]: ")
    assert "at most 10000" in refused(json.dumps({"messages": [5] * (MAX_ITEMS + 1)}).encode())


@pytest.mark.parametrize(
    ("of", "body"),
    [
        (CreateRequest, {"files": dict.fromkeys(map(str, range(290_000)), 5)}),
        (ChatRequest, {"tools": [{"function": {"parameters": {
            "properties": dict.fromkeys(map(str, range(290_000)), 5)
        }}}]}),
        (ChatRequest, {"tools": [{"function": {"parameters": {"anyOf": 5, "properties": {
            str(number): {"type": 5, "description": 5, "enum": 5, "required": 5} for number in range(49_000)
        }}}}]}),
    ],
    ids=["texts", "members", "fields"],
)  # fmt: skip
def test_many_wrong_members_are_refused_for_the_first_one(of, body):
    given = orjson.loads(json.dumps(body))
    with pytest.raises(ValidationError) as caught:
        of.model_validate(given)
    assert caught.value.error_count() < 10


def test_only_the_first_value_is_read():
    assert decode(b' {"model":"a"} garbage {', Chat).model == "a"


def test_names_match_without_case_and_the_last_one_counts():
    assert decode(b'{"Model":"a","MODEL":"b"}', Chat).model == "b"
    assert decode(b'{"Messages":[{"ROLE":"user"}]}', Chat).messages[0].role == "user"
    assert decode('{"\u212aey":1,"model":"a"}'.encode(), Chat).model == "a"


def test_null_means_not_given():
    assert decode(b"null", Chat) == decode(b"{}", Chat) == Chat()
    assert decode(b'{"model":null,"stream":null,"messages":[null,{"role":null}]}', Chat).messages == (Turn(),)


def test_a_default_belongs_to_one_request():
    decode(b"{}", Chat).options["x"] = 1
    assert decode(b"{}", Chat).options == {}


def test_half_a_surrogate_pair_becomes_a_replacement_character():
    assert decode(rb'{"model":"\ud83d\ude00 \ud83d x \\ud83d"}', Chat).model == "😀 \ufffd x \\ud83d"


def test_invalid_utf8_becomes_a_replacement_character():
    assert decode(b'{"model":"a\xffb"}', Chat).model == "a\ufffdb"


def test_deep_nesting_is_refused_without_a_crash():
    assert refused(b'{"options":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}") == "the JSON is nested too deeply"
    assert refused(b'{"options":' + b"[" * 12000) == "the JSON is nested too deeply"


def test_a_large_broken_body_is_refused_in_bounded_time():
    body = b'{"options":{"a":[' + b"[1],[[2]]," * 200_000 + b"x]}}"
    assert refused(body)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_valid_json_is_read_as_json_reads_it(value):
    body = json.dumps({"value": value}).encode()
    assert decode(body, Chat).value == json.loads(body)["value"]


@given(values)
def test_the_slow_reading_agrees_with_the_quick_one(value):
    body = json.dumps({"value": value}).encode()
    assert decode(body + b" x", Chat) == decode(body, Chat)


@given(values, st.data())
def test_damaged_json_is_read_or_refused_never_anything_else(value, data):
    body = bytearray(json.dumps({"model": value, "messages": value, "options": value}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        if data.draw(st.booleans()):
            body[place] = data.draw(st.integers(0, 255))
        else:
            del body[place:]
            break
    with suppress(BadRequest):
        assert isinstance(decode(bytes(body), Chat), Chat)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body):
    with suppress(BadRequest):
        assert isinstance(decode(body, Chat), Chat)


@pytest.mark.parametrize("part", ["a" * 2_500_000, r"\u00e9" * 5_000, r"x\"" * 5_000], ids=["plain", "escapes", "both"])
def test_long_strings_are_read_to_their_end(part):
    inner = part.encode()
    member = b',"options":{"a":"%s"}' % inner
    assert decode(b'{"model":"m"%s} x' % member, Chat).options["a"] == json.loads(f'"{part}"')
    wrong = b'{"model":"m"%s,"b":"%s\x01"}' % (member, inner)
    assert "Invalid control character" in refused(wrong)
    assert "not valid JSON" in refused(b'{"model":"m","b":"%s' % inner)
