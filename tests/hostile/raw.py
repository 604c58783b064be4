"""Connections that behave as no client should: bytes go out as a test says, and nothing is read unless it says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import Any, Self
from urllib.parse import urlsplit

LITTLE = 4096
"""Bytes of a receive buffer that is full soon."""


class Raw:
    """``async with Raw(service.url) as raw``; ``source``: the address it comes from, all 127.x are this machine."""

    def __init__(self, url: str, *, source: str = "127.0.0.1", buffer: int = LITTLE) -> None:
        at = urlsplit(url)
        self._address = (str(at.hostname), int(at.port or 80))
        self._source = source
        self._buffer = buffer
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    async def __aenter__(self) -> Self:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        self.socket.setblocking(False)
        self.socket.bind((self._source, 0))
        await asyncio.get_running_loop().sock_connect(self.socket, self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()

    async def send(self, data: bytes) -> None:
        """All of it."""
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def ask(self, path: str, body: Any) -> None:
        """A whole request."""
        await self.send(request(path, json.dumps(body).encode()))

    async def read(self, most: int = 1 << 16, *, within: float = 10.0) -> bytes:
        """What comes next; empty when the service has closed the connection."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, most), within)
        return b""

    async def rest(self, *, within: float = 10.0) -> bytes:
        """All that comes until the service closes the connection."""
        parts = []
        while part := await self.read(within=within):
            parts.append(part)
        return b"".join(parts)


def request(path: str, body: bytes, *headers: str, length: int | None = None, method: str = "POST") -> bytes:
    """A request; ``length``: what it announces, where that is not what it has."""
    announced = f"Content-Length: {len(body) if length is None else length}"
    head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", announced, *headers, "", ""))
    return head.encode("latin-1") + body
