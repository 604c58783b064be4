"""Cuts a server-sent-event byte stream into payloads. Pure, one instance per stream.

vLLM writes every event as one ``data: {json}`` line and a blank line, ends with ``data: [DONE]`` and may send
``: keep-alive`` comments. Bytes arrive cut anywhere.
"""

from __future__ import annotations

DONE = b"[DONE]"


class SseCutter:
    """Feed bytes, get the payloads of all complete ``data:`` lines."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def begun(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads (without ``data:`` and blanks) completed by ``data``; a last ``[DONE]`` is one of them."""
        if (
            not self._rest
            and data.startswith(b"data: ")
            and data.find(b"\n") == len(data) - 2
            and data.endswith(b"\n\n")
        ):
            return [data[6:-2].strip()]  # one event, whole: what an engine sends as a rule
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]
