"""Parses an engine's HTTP/1.1 answers: the head, and the body with its framing removed. Pure.

Only what uvicorn writes: a status line, headers, and a body in chunks or with a Content-Length. Everything else raises
ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

_LONGEST_HEAD: Final = 1 << 16
_LONGEST_SIZE: Final = 64
"""Bytes of a chunk's size line."""
_LARGEST_CHUNK: Final = 1 << 28
_END: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer."""

    status: int
    chunked: bool
    length: int
    """Bytes of a body that is not chunked."""
    stays: bool
    """The connection may be used again after the body."""


class BodyReader(Protocol):
    """Removes the framing of a body; one instance for each answer."""

    @property
    def over(self) -> bool:
        """Whether the body has ended."""
        ...

    def feed(self, data: bytes) -> bytes:
        """The part of the body that these bytes complete; raises ValueError for invalid framing."""
        ...


def read_head(data: bytes) -> tuple[Head, bytes] | None:
    """An answer's head and the bytes behind it; None while it is incomplete. Raises ValueError."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > _LONGEST_HEAD:
            raise ValueError("a head without an end")
        return None
    status_line, *lines = data[:end].split(_END)
    version, _, rest = status_line.partition(b" ")
    if version != b"HTTP/1.1":
        raise ValueError(f"not HTTP/1.1: {status_line[:40]!r}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip().lower()
    chunked = headers.get(b"transfer-encoding") == b"chunked"
    if not chunked and b"content-length" not in headers:
        raise ValueError("the response has neither Content-Length nor chunked encoding")
    head = Head(
        status=int(rest[:3]),
        chunked=chunked,
        length=int(headers.get(b"content-length", 0)),
        stays=headers.get(b"connection") != b"close",
    )
    return head, data[end + 4 :]


def body_of(head: Head) -> BodyReader:
    """The reader of the body that follows this head."""
    return ChunkedBody() if head.chunked else SizedBody(head.length)


class SizedBody:
    """A body with a Content-Length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def over(self) -> bool:
        """All of it has been read."""
        return self._left == 0

    def feed(self, data: bytes) -> bytes:
        """The bytes as they are; raises ValueError for more than Content-Length."""
        if len(data) > self._left:
            raise ValueError("the body is longer than its Content-Length")
        self._left -= len(data)
        return data


class ChunkedBody:
    """A chunked body. A chunk is passed on when it is complete, because each of the engine's writes is one chunk."""

    __slots__ = ("_rest", "over")

    def __init__(self) -> None:
        self.over = False
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The contents of the chunks that these bytes complete."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        elif (size := _only_chunk(data)) and not self.over:
            return data[-2 - size : -2]
        found = []
        at, length = 0, len(data)
        while at < length:
            if self.over:
                raise ValueError("bytes behind the last chunk")
            line = data.find(_END, at)
            if line < 0:
                if length - at > _LONGEST_SIZE:
                    raise ValueError("a chunk without a size")
                break
            size = int(data[at:line], 16)
            if not 0 <= size <= _LARGEST_CHUNK:
                raise ValueError(f"a chunk of {size} bytes")
            begin = line + 2
            end = begin + size
            if end + 2 > length:
                break
            if data[end : end + 2] != _END:
                raise ValueError("a chunk without an end")
            if size:
                found.append(data[begin:end])
            else:
                self.over = True
            at = end + 2
        if at < length:
            self._rest = data[at:]
        return found[0] if len(found) == 1 else b"".join(found)


def _only_chunk(data: bytes) -> int:
    """Bytes in the chunk that these are, exactly and whole, as a rule; 0 where they are something else."""
    line = data.find(_END)
    if not 0 < line <= 8 or data[-2:] != _END:
        return 0
    size = int(data[:line], 16)
    return size if size == len(data) - line - 4 else 0
