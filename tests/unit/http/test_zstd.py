from __future__ import annotations

import importlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest, TooLarge
from vllama.http.zstd import unpacked

zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


@given(st.binary(max_size=2000))
def test_a_packed_body_is_unpacked(body):
    assert unpacked(zstd.compress(body), "zstd") == body
    assert unpacked(zstd.compress(body), " ZSTD ") == body


def test_other_encodings_are_left_alone():
    assert unpacked(b"{}", "") == b"{}"
    assert unpacked(b"\x1f\x8b", "gzip") == b"\x1f\x8b"


def test_a_bomb_is_stopped_at_its_limit():
    with pytest.raises(TooLarge, match="more than 20 MiB"):
        unpacked(zstd.compress(bytes(21 << 20)), "zstd")


@pytest.mark.parametrize("cut", [1, 10])
def test_a_body_that_is_cut_off_is_refused(cut):
    with pytest.raises(BadRequest, match="unexpected EOF"):
        unpacked(zstd.compress(bytes(range(256)) * 9)[:-cut], "zstd")


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read_but_never_breaks(noise):
    try:
        unpacked(noise, "zstd")
    except BadRequest as error:
        assert error.message  # noqa: PT017 - either way is right
