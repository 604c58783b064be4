from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.observe.trace import Trace, read_request_id, read_trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_clients_place_is_read_and_written_the_same():
    found = read_trace(PARENT, "vendor=1")
    assert found == Trace(TRACE, SPAN, sampled=True, state="vendor=1")
    assert found is not None
    assert found.headers == {"traceparent": PARENT, "tracestate": "vendor=1"}


def test_a_span_below_keeps_trace_and_sampling():
    found = read_trace(f"00-{TRACE}-{SPAN}-00")
    assert found is not None
    below = found.below("b" * 16)
    assert (below.parent_id, below.sampled) == (SPAN, False)
    assert below.headers == {"traceparent": f"00-{TRACE}-{'b' * 16}-00"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        PARENT.upper(),
        PARENT + "\r\nX: y",
        PARENT + "-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f" {PARENT}",
    ],
)
def test_what_is_no_traceparent_is_ignored(text: str):
    assert read_trace(text) is None


def test_a_later_version_may_say_more():
    assert read_trace(f"01-{TRACE}-{SPAN}-01-more") == Trace(TRACE, SPAN)


def test_a_state_that_could_break_a_header_is_left_out():
    for state in ("a=1\r\nX: y", "ü=1", "a" * 513):
        assert read_trace(PARENT, state) == Trace(TRACE, SPAN)


@given(st.text(max_size=200))
def test_an_id_of_a_request_is_harmless_or_refused(text: str):
    found = read_request_id(text)
    assert found in {"", text}
    assert found.isascii()
    assert len(found) <= 128
    assert not set(found) & set(" \r\n\t\"'<>;,&\\(){}`$")
    assert found[:1] not in {"=", "+", "@", "-"}  # a spreadsheet takes those for formulas


@pytest.mark.parametrize("text", ["abc", "7f1e0b8a-1f2d-4a8e-9d3b-0c1d2e3f4a5b", "req_01:2/3+4=", "A" * 128])
def test_ids_that_programs_make_are_kept(text: str):
    assert read_request_id(text) == text
