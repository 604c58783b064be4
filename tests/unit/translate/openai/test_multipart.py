from __future__ import annotations

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest
from vllama.translate.openai.multipart import boundary_of, read_fields

FORM = (
    b'preamble\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    b'--x\r\ncontent-disposition: form-data; name=file; filename="a;b.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b"RI\r\nFF\r\n"
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nsecond\r\n--x--\r\n'
)


def test_the_fields_of_a_form():
    fields = read_fields(FORM, "x")
    assert (fields["model"].text, fields["model"].is_file) == ("whisper", False)
    assert (fields["file"].size, fields["file"].is_file) == (6, True)


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('multipart/form-data; charset=x; Boundary="a b"', "a b"),
        ("multipart/form-data", ""),
        ("multipart/form-data; boundary=", ""),
        ("multipart/form-data; boundary=" + "x" * 71, ""),
    ],
)
def test_the_boundary_is_in_the_media_type(kind, boundary):
    assert boundary_of(kind) == boundary


@given(
    st.lists(
        st.sampled_from(
            [b"--x", b"--x--", b"\r\n", b"\r\n\r\n", b'Content-Disposition: form-data; name="', b'"', b";", b"a"]
        )
    )
)
def test_any_body_is_a_form_or_a_clear_refusal(parts):
    with suppress(BadRequest):
        assert all(field.size >= 0 for field in read_fields(b"".join(parts), "x").values())


def test_a_thousand_parts_are_refused_and_cost_no_more_than_the_body():
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\na\r\n' * 20_000 + b"--x--\r\n"
    tracemalloc.start()
    with pytest.raises(BadRequest, match="too many parts"):
        read_fields(body, "x")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
