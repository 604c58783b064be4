from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.engine.framing import ChunkedBody, Head, SizedBody, read_head

CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def in_chunks(parts: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.lists(st.integers(0, 10_000), max_size=8))
def test_a_body_is_the_same_however_its_bytes_arrive(parts, places):
    body = ChunkedBody()
    found = b"".join(body.feed(piece) for piece in cut(in_chunks(parts), places))
    assert found == b"".join(parts)
    assert body.over


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6))
def test_each_whole_chunk_is_given_in_the_read_that_completes_it(parts):
    body = ChunkedBody()
    assert [body.feed(b"%x\r\n%b\r\n" % (len(part), part)) for part in parts] == parts
    assert not body.over


@pytest.mark.parametrize(
    "wrong", [b"zz\r\n", b"-1\r\n", b"\r\nx", b"1\r\nabc", b"ffffffffff\r\n", b"1" * 100, b"0\r\n\r\nmore"]
)
def test_frames_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match=r".+"):
        ChunkedBody().feed(wrong)


@given(st.binary(max_size=2000))
def test_no_bytes_raise_anything_but_a_value_error(data):
    for take in (ChunkedBody().feed, read_head, SizedBody(10).feed):
        try:
            take(data)
        except ValueError:
            continue


@given(st.integers(0, len(CHUNKED) - 1))
def test_a_head_is_waited_for(length):
    assert read_head(CHUNKED[:length]) is None


def test_a_head_is_separated_from_what_follows():
    assert read_head(CHUNKED + b"5\r\nab") == (Head(200, chunked=True, length=0, stays=True), b"5\r\nab")
    sized = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nConnection: Close\r\n\r\nabc"
    assert read_head(sized) == (Head(404, chunked=False, length=3, stays=False), b"abc")


@pytest.mark.parametrize(
    "wrong",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 x OK\r\ncontent-length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_an_invalid_head_is_refused(wrong):
    with pytest.raises(ValueError, match=r".+"):
        read_head(wrong)


def test_a_body_with_a_content_length_ends_with_its_last_byte():
    body = SizedBody(5)
    assert body.feed(b"abc") == b"abc"
    assert not body.over
    assert body.feed(b"de") == b"de"
    assert body.over
    with pytest.raises(ValueError, match="longer than its Content-Length"):
        body.feed(b"f")
