from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.durations import read_go_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("-1s", -1),
        ("+10s", 10),
        ("100ms", 0.1),
        ("1us", 1e-6),
        ("1µs", 1e-6),
        (".5s", 0.5),
        ("1.s", 1),
        ("1h0.5m3s", 3633),
    ],
)
def test_reads_durations(text, seconds):
    assert read_go_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "-1", "abc", "1d", "5 m", "--5m", ".", "1m ", "1ü", "1" * 201 + "s"])
def test_other_texts_are_no_durations(text):
    assert read_go_duration(text) is None


@given(st.text())
def test_any_text_is_a_duration_or_none(text):
    assert isinstance(read_go_duration(text), float | None)
