"""Images in requests: standard base64. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from vllama.translate.decoding import refuse

_BREAKS: Final = b"\r\n"
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# no match takes long: other threads run only between two of them
_QUANTA_PART: Final = re.compile(rb"(?:(?:[\r\n]*+[A-Za-z0-9+/]){4}){1,100000}+")
_BREAKS_PART: Final = re.compile(rb"[\r\n]*+")


def check_base64(text: str) -> str:
    """Standard base64 with padding; line breaks are taken out. Raises ValueError with Go's byte offset."""
    data = text.encode("utf-8", "replace")
    if _is_whole(data):
        return text
    if _is_whole(bare := data.translate(None, _BREAKS)):
        return bare.decode()
    raise ValueError(f"illegal base64 data at input byte {_corrupt_byte(data)}")


def _is_whole(data: bytes) -> bool:
    """Each look is one pass of C: images are megabytes."""
    padding = data.translate(None, _ALPHABET)
    return len(data) % 4 == 0 and padding in {b"", b"=", b"=="} and data.endswith(padding)


def _corrupt_byte(data: bytes) -> int:
    """The offset that Go's decoder names."""
    at = 0
    while found := _QUANTA_PART.match(data, at):
        at = found.end()
    filled = 0
    while True:
        at = _skip_breaks(data, at)
        if at == len(data):
            return at - filled
        if data[at] not in _ALPHABET:
            break
        filled += 1
        at += 1
    if data[at] != ord("=") or filled < 2:
        return at
    return _after_padding(data, at + 1, filled)


def _after_padding(data: bytes, at: int, filled: int) -> int:
    """Judge what follows the first ``=`` of a quantum that holds ``filled`` characters."""
    at = _skip_breaks(data, at)
    if filled == 2:
        if at == len(data):
            return at
        if data[at] != ord("="):
            return at - 1
        at = _skip_breaks(data, at + 1)
    return at


def _skip_breaks(data: bytes, at: int) -> int:
    found = _BREAKS_PART.match(data, at)
    return at if found is None else found.end()


def _image(text: str) -> str:
    try:
        return check_base64(text)
    except ValueError as error:
        refuse(str(error))


Image = Annotated[str, AfterValidator(_image)]
"""The text of an image, without line breaks."""
