"""Reads safetensors headers: what tensors a file holds, without loading one. Pure.

A file is 8 bytes (little-endian length of the header), the header (JSON: name to ``dtype, shape, data_offsets``, and
``__metadata__``), then the tensors (https://huggingface.co/docs/safetensors, "Format").
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

PREFIX_BYTES: Final = 8
_LONGEST_HEADER: Final = 100_000_000  # the format's own limit


class HeaderError(ValueError):
    """The bytes are not a safetensors header; the text is the rest of a sentence: ``... is truncated``."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as the header describes it."""

    name: str
    dtype: str
    """``BF16``, ``F16``, ``F32``, ``F8_E4M3``, ``I32`` ..."""
    shape: tuple[int, ...]
    end: int
    """Where its bytes end, counted from the end of the header."""
    size: int
    """Bytes."""

    @property
    def elements(self) -> int:
        """Numbers in it; packed weights hold several parameters in each."""
        return math.prod(self.shape)


def header_length(prefix: bytes, file_size: int) -> int:
    """Length of the JSON that follows the first 8 bytes; raises HeaderError."""
    if len(prefix) < PREFIX_BYTES or file_size < PREFIX_BYTES:
        raise HeaderError("is empty or truncated")
    length: int = struct.unpack("<Q", prefix[:PREFIX_BYTES])[0]
    if length < 2 or length > _LONGEST_HEADER:
        raise HeaderError("is not a safetensors file")
    if PREFIX_BYTES + length > file_size:
        raise HeaderError("is truncated (its header is not complete)")
    return length


def read_tensors(header: bytes, file_size: int) -> tuple[Tensor, ...]:
    """The tensors of one file; raises HeaderError when the header is broken or names bytes that are missing."""
    try:
        decoded = orjson.loads(header)
    except orjson.JSONDecodeError as error:
        raise HeaderError("has a broken header (not JSON)") from error
    if not isinstance(decoded, dict):
        raise HeaderError("has a broken header (not an object)")
    tensors = tuple(_tensor(name, entry) for name, entry in decoded.items() if name != "__metadata__")
    there = file_size - PREFIX_BYTES - len(header)
    wanted = max((tensor.end for tensor in tensors), default=0)
    if wanted > there:
        missing = wanted - there
        raise HeaderError(f"is truncated ({missing} of {wanted + PREFIX_BYTES + len(header)} bytes are missing)")
    return tensors


def _tensor(name: str, entry: Any) -> Tensor:
    if isinstance(entry, Mapping):
        dtype, shape, offsets = entry.get("dtype"), _sizes(entry.get("shape")), _sizes(entry.get("data_offsets"))
        if isinstance(dtype, str) and shape is not None and offsets is not None and len(offsets) == 2:
            begin, end = offsets
            if begin <= end:
                return Tensor(name, dtype, shape, end, end - begin)
    raise HeaderError(f"has a broken header (tensor {name[:60]!r})")


def _sizes(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, list) and all(type(item) is int and item >= 0 for item in value):
        return tuple(value)
    return None
