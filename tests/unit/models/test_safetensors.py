from __future__ import annotations

import contextlib
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.models.model_files import safetensors
from vllama.models.safetensors import HeaderError, header_length, read_tensors


def read(data: bytes, size: int | None = None):
    size = len(data) if size is None else size
    return read_tensors(data[8 : 8 + header_length(data[:8], size)], size)


def test_tensors_are_listed_without_being_read():
    data = safetensors({"a": ("BF16", (3, 4)), "b": ("F32", ())})
    a, b = read(data)
    assert (a.name, a.dtype, a.elements, a.size) == ("a", "BF16", 12, 24)
    assert (b.elements, b.size) == (1, 4)


def test_a_file_that_ends_too_early_reports_how_much_is_missing():
    data = safetensors({"a": ("BF16", (3, 4))})
    with pytest.raises(HeaderError, match=rf"truncated \(5 of {len(data)} bytes are missing\)"):
        read(data, len(data) - 5)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty or truncated"),
        (b"\x01\0", "empty or truncated"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is not a safetensors file"),
        (struct.pack("<Q", 50) + b"{", "its header is not complete"),
        (struct.pack("<Q", 2) + b"[]", "not an object"),
        (struct.pack("<Q", 2) + b"{x", "not JSON"),
    ],
)
def test_what_is_no_header(data: bytes, words: str):
    with pytest.raises(HeaderError, match=words):
        read(data)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        1,
        {},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": 1, "shape": [], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0]},
    ],
)
def test_a_broken_entry_names_its_tensor(entry: object):
    header = json.dumps({"w": entry}).encode()
    with pytest.raises(HeaderError, match="tensor 'w'"):
        read_tensors(header, 8 + len(header) + 100)


@settings(deadline=None)
@given(st.binary(max_size=80), st.integers(min_value=0, max_value=1 << 40))
def test_any_bytes_are_a_header_or_a_header_error(data: bytes, size: int):
    with contextlib.suppress(HeaderError):
        length = header_length(data[:8], size)
        read_tensors(data[8 : 8 + length], size)


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "w"]), inner, max_size=3),
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(_JSON)
def test_any_json_is_a_header_or_a_header_error(value: object):
    header = json.dumps(value).encode()
    with contextlib.suppress(HeaderError):
        read_tensors(header, 8 + len(header))
