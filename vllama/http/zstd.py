"""Request bodies packed with zstd, which some of OpenAI's clients send and Ollama reads."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Final

from vllama.errors import BadRequest, TooLarge

_LIMIT: Final = 20 << 20  # Ollama's: a body of a few kilobytes could unpack to gigabytes


def _library() -> ModuleType | None:
    """Python's own since 3.14, before that its backport where it is installed."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_ZSTD: Final = _library()


def unpacked(data: bytes, encoding: str) -> bytes:
    """The body, unpacked when its ``Content-Encoding`` is zstd; raises BadRequest and TooLarge."""
    if encoding.strip().lower() != "zstd":
        return data
    if _ZSTD is None:
        raise BadRequest("zstd-packed bodies need Python 3.14 or the package backports.zstd; send the body unpacked")
    unpacker = _ZSTD.ZstdDecompressor()
    try:
        body: bytes = unpacker.decompress(data, max_length=_LIMIT)
    except _ZSTD.ZstdError as error:
        raise BadRequest(f"the body is not valid zstd: {error}") from error
    if not unpacker.eof:
        if len(body) < _LIMIT:
            raise BadRequest("unexpected EOF")
        raise TooLarge(f"the body unpacks to more than {_LIMIT >> 20} MiB")
    return body
