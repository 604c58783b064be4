"""Reads server-sent events back, for the tests of the writers."""

from __future__ import annotations

import json
from typing import Any


def events(stream: bytes) -> list[tuple[str | None, Any]]:
    """``(event, data)`` of each event; data is parsed, save ``[DONE]``."""
    assert stream == b"" or stream.endswith(b"\n\n")
    out = []
    for block in stream.decode().split("\n\n")[:-1]:
        lines = block.split("\n")
        assert len(lines) <= 2
        name = lines.pop(0).removeprefix("event: ") if lines[0].startswith("event: ") else None
        (line,) = lines
        assert line.startswith("data: ")
        data = line.removeprefix("data: ")
        out.append((name, data if data == "[DONE]" else json.loads(data)))
    return out


def datas(stream: bytes) -> list[Any]:
    """The data of each event."""
    return [data for _, data in events(stream)]
