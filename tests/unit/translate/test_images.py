from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.images import check_base64


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
    with pytest.raises(ValueError, match=rf"^illegal base64 data at input byte {at}$"):
        check_base64(text)


def test_line_breaks_are_taken_out():
    assert check_base64("YWJj\r\nZGVm\n") == "YWJjZGVm"


@given(st.binary())
def test_what_is_base64_passes(data):
    text = base64.b64encode(data).decode()
    assert check_base64(text) == text
