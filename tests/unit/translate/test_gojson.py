from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest
from vllama.translate.gojson import (
    ANY,
    BOOL,
    FLOAT32,
    INT,
    MAP,
    STRING,
    GoValueError,
    boxed,
    bytes_type,
    custom,
    decode,
    pointer,
    raw_member,
    slice_of,
    struct,
)


def refuse(_: object) -> object:
    raise GoValueError("refused")


TURN = boxed(
    struct("Alias", "api.Alias", {"role": STRING, "content": STRING, "images": slice_of(bytes_type("api.ImageData"))})
)
CHAT = struct(
    "ChatRequest",
    "api.ChatRequest",
    {
        "model": STRING,
        "messages": slice_of(TURN, "[]api.Message"),
        "stream": pointer(BOOL),
        "top_logprobs": INT,
        "temperature": FLOAT32,
        "options": MAP,
        "refused": custom("api.Refused", refuse),
    },
)
FREE = struct("Free", "api.Free", {"value": ANY})


def told(body: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        decode(body, CHAT)
    assert caught.value.http_status == 400
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "missing request body"),
        (b" \n\t ", "missing request body"),
        (b'{"model":', "unexpected EOF"),
        (b'{"model":"x', "unexpected EOF"),
        (b"hello", "invalid character 'h' looking for beginning of value"),
        (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value"),
        (b"\x1f\x8b", r"invalid character '\x1f' looking for beginning of value"),
        (b'{"model" "x"}', "invalid character '\"' after object key"),
        (b'{"model":NaN}', "invalid character 'N' looking for beginning of value"),
        (b'{"top_logprobs":01}', "invalid character '1' after object key:value pair"),
        (b'{"model":"x",}', "invalid character '}' looking for beginning of object key string"),
        (b'{"messages":[1 2]}', "invalid character '2' after array element"),
        (b'{"messages":[1,]}', "invalid character ']' looking for beginning of value"),
        (b'{"model":tru}', "invalid character '}' in literal true (expecting 'e')"),
        (b'{"model":"\x01"}', r"invalid character '\x01' in string literal"),
        (b'{"model":"\\x"}', "invalid character 'x' in string escape code"),
        (b'{"model":"\\u12g4"}', r"invalid character 'g' in \u hexadecimal character escape"),
        (b'{"top_logprobs":-}', "invalid character '}' in numeric literal"),
        (b'{"top_logprobs":1.}', "invalid character '}' after decimal point in numeric literal"),
        (b'{"top_logprobs":1e}', "invalid character '}' in exponent of numeric literal"),
        (b"'", r"invalid character '\'' looking for beginning of value"),
        (b'{"options":' + b"[" * 12000, "invalid character '[' exceeded max depth"),
        (b"[]", "json: cannot unmarshal array into Go value of type api.ChatRequest"),
        (b"5", "json: cannot unmarshal number into Go value of type api.ChatRequest"),
        (b'{"model":5}', "json: cannot unmarshal number into Go struct field ChatRequest.model of type string"),
        (
            b'{"messages":"hi"}',
            "json: cannot unmarshal string into Go struct field ChatRequest.messages of type []api.Message",
        ),
        (
            b'{"messages":["hi"]}',
            "json: cannot unmarshal string into Go struct field ChatRequest.messages of type api.Alias",
        ),
        (
            b'{"messages":[{"content":[]}]}',
            "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string",
        ),
        (
            b'{"messages":[{"images":"x"}]}',
            "json: cannot unmarshal string into Go struct field ChatRequest.messages.images of type []api.ImageData",
        ),
        (b'{"messages":[{"images":["data:x"]}]}', "illegal base64 data at input byte 4"),
        (b'{"stream":"no"}', "json: cannot unmarshal string into Go struct field ChatRequest.stream of type bool"),
        (
            b'{"options":[]}',
            "json: cannot unmarshal array into Go struct field ChatRequest.options of type map[string]interface {}",
        ),
        (
            b'{"options":{"t":1e999}}',
            "json: cannot unmarshal number 1e999 into Go struct field ChatRequest.options of type float64",
        ),
        (
            b'{"top_logprobs":3.5}',
            "json: cannot unmarshal number 3.5 into Go struct field ChatRequest.top_logprobs of type int",
        ),
        (
            b'{"top_logprobs":1e2}',
            "json: cannot unmarshal number 1e2 into Go struct field ChatRequest.top_logprobs of type int",
        ),
        (
            b'{"top_logprobs":99999999999999999999}',
            f"json: cannot unmarshal number {10**20 - 1} into Go struct field ChatRequest.top_logprobs of type int",
        ),
        (
            b'{"temperature":1e39}',
            "json: cannot unmarshal number 1e39 into Go struct field ChatRequest.temperature of type float32",
        ),
    ],
)
def test_says_what_go_says(body, text):
    assert told(body) == text


def test_tells_the_first_wrong_type():
    assert "ChatRequest.model" in told(b'{"model":5,"stream":"x"}')


def test_a_type_that_reads_itself_is_told_before_earlier_wrong_types():
    assert told(b'{"model":5,"refused":1}') == "refused"


def test_reads_only_the_first_value():
    assert decode(b' {"model":"a"} garbage {', CHAT)["model"] == "a"


def test_keys_match_without_case_and_the_last_one_wins():
    assert decode(b'{"Model":"a","MODEL":"b"}', CHAT)["model"] == "b"
    assert decode('{"\u212aey":1,"model":"a"}'.encode(), CHAT)["model"] == "a"


def test_null_means_not_given():
    assert decode(b"null", CHAT) == decode(b"{}", CHAT)
    assert decode(b'{"model":null,"stream":null,"messages":[null]}', CHAT)["messages"] == [
        {"role": "", "content": "", "images": []}
    ]


def test_half_a_surrogate_pair_becomes_a_replacement_character():
    assert decode(rb'{"model":"\ud83d\ude00 \ud83d x \\ud83d"}', CHAT)["model"] == "😀 \ufffd x \\ud83d"


def test_invalid_utf8_becomes_a_replacement_character():
    assert decode(b'{"model":"a\xffb"}', CHAT)["model"] == "a\ufffdb"


def test_deep_but_legal_nesting_is_refused_without_a_crash():
    assert told(b'{"options":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}") == "the JSON is nested too deeply"


def test_a_large_broken_body_is_refused_in_bounded_time():
    body = b'{"options":{"a":[' + b"[1],[[2]]," * 200_000 + b"x]}}"
    assert told(body)


def test_raw_member_gives_the_clients_own_bytes():
    body = b' {"a" : [1, {"format":2}] , "Format" : { "x":1.50 } , "b":"}"} tail'
    assert raw_member(body, "format") == b'{ "x":1.50 }'
    assert raw_member(body, "missing") == b""


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
    assert decode(body, FREE)["value"] == json.loads(body)["value"]


@given(values)
def test_the_slow_reading_agrees_with_the_quick_one(value):
    body = json.dumps({"value": value}).encode()
    assert decode(body + b" x", FREE) == decode(body, FREE)


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
        assert decode(bytes(body), CHAT).keys() == CHAT.zero().keys()


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body):
    with suppress(BadRequest):
        assert decode(body, CHAT).keys() == CHAT.zero().keys()


@pytest.mark.parametrize("part", ["a" * 2_500_000, r"\u00e9" * 5_000, r"x\"" * 5_000], ids=["plain", "escapes", "both"])
def test_long_strings_are_read_to_their_end(part):
    inner = part.encode()
    member = b',"options":{"a":"%s"}' % inner
    assert decode(b'{"model":"m"%s} x' % member, CHAT)["options"]["a"] == json.loads(f'"{part}"')
    wrong = b'{"model":"m"%s,"b":"%s\x01"}' % (member, inner)
    assert told(wrong) == r"invalid character '\x01' in string literal"
    assert told(b'{"model":"m","b":"%s' % inner) == "unexpected EOF"
