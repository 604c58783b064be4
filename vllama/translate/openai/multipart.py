"""Finds two fields in a ``multipart/form-data`` body, in one pass and without copies of anything else. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vllama.errors import BadRequest

_MOST_PARTS: Final = 1000
_LONGEST_HEAD: Final = 16 << 10
_LONGEST_TEXT: Final = 1 << 16
_LONGEST_BOUNDARY: Final = 70
"""Characters, as RFC 2046 has it."""
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_DISPOSITION: Final = re.compile(rb"^content-disposition:[ \t]*form-data(.*)$", re.IGNORECASE | re.MULTILINE)
_PARAMETER: Final = re.compile(rb';[ \t]*(\w+)\*?=(?:"((?:[^"\\]|\\.)*+)"|([^;\s"]*))')


@dataclass(frozen=True, slots=True)
class FormField:
    """One part."""

    text: str
    """Its content; of a file only the beginning."""
    size: int
    is_file: bool
    """It has a file name."""


def boundary_of(content_type: str) -> str:
    """The parameter of the media type; empty where there is none that is allowed."""
    found = _BOUNDARY.search(content_type)
    text = (found[1] or found[2]) if found else ""
    return text if len(text) <= _LONGEST_BOUNDARY else ""


def read_fields(body: bytes, boundary: str) -> Mapping[str, FormField]:
    """The parts by name, of several the first. Raises BadRequest for a body that is no form."""
    mark = b"--" + boundary.encode("latin-1", "replace")
    found: dict[str, FormField] = {}
    at = body.find(mark)
    for _ in range(_MOST_PARTS):
        if at < 0:
            raise BadRequest("NextPart: EOF")
        begin = at + len(mark)
        if body.startswith(b"--", begin):
            return found
        head_end = body.find(b"\r\n\r\n", begin, begin + _LONGEST_HEAD)
        end = body.find(b"\r\n" + mark, head_end)
        if head_end < 0 or end < 0:
            raise BadRequest("NextPart: unexpected EOF")
        if (name := _name(body[begin:head_end])) is not None:
            found.setdefault(name[0], _field(body, head_end + 4, end, is_file=name[1]))
        at = end + 2
    raise BadRequest("too many parts")


def _name(head: bytes) -> tuple[str, bool] | None:
    """The name of a part and whether it is a file."""
    line = _DISPOSITION.search(head.replace(b"\r\n", b"\n"))
    if line is None:
        return None
    given = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(line[1])}
    return (given[b"name"].decode("utf-8", "replace"), b"filename" in given) if b"name" in given else None


def _field(body: bytes, begin: int, end: int, *, is_file: bool) -> FormField:
    size = max(0, end - begin)
    text = body[begin : begin + min(size, 1 if is_file else _LONGEST_TEXT)].decode("utf-8", "replace")
    return FormField(text, size, is_file)
