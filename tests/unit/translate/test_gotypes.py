from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.gotypes import GoValueError, check_base64, parse_duration


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
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("-1", 'time: missing unit in duration "-1"'),
        ("abc", 'time: invalid duration "abc"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("5 m", 'time: unknown unit " m" in duration "5 m"'),
        ("--5m", 'time: invalid duration "--5m"'),
        (".", 'time: invalid duration "."'),
        ("1m ", 'time: unknown unit "m " in duration "1m "'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
        ("1ü", 'time: unknown unit "\\xc3\\xbc" in duration "1\\xc3\\xbc"'),
    ],
)
def test_refuses_durations_as_go_does(text, said):
    with pytest.raises(GoValueError) as caught:
        parse_duration(text)
    assert str(caught.value) == said


@given(st.text())
def test_any_text_is_a_duration_or_refused(text):
    with suppress(GoValueError):
        assert isinstance(parse_duration(text), float)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("data:image/png;base64,AAAA", 4),
        ("not base64!", 3),
        ("YWJjZA", 4),
        ("-_-_", 0),
        ("YWJj ZGVm", 4),
        ("%%%", 0),
        ("=", 0),
        ("Y===", 1),
        ("YQ=", 3),
        ("YQ=x", 2),
        ("YQ==YQ==", 4),
        ("YWJj=", 4),
    ],
)
def test_names_the_byte_that_is_not_base64(text, at):
    with pytest.raises(GoValueError) as caught:
        check_base64(text)
    assert str(caught.value) == f"illegal base64 data at input byte {at}"


def test_line_breaks_are_taken_out():
    assert check_base64("YWJj\r\nZGVm\n") == "YWJjZGVm"


@given(st.binary())
def test_what_is_base64_passes(data):
    text = base64.b64encode(data).decode()
    assert check_base64(text) == text
