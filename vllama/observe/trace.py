"""A request's place in a trace, as the headers ``traceparent`` and ``tracestate`` say it (W3C Trace Context). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]{0,200})?")
_STATE: Final = re.compile(r"[\x20-\x7e]{1,512}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@~-]{0,127}")
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """Ids are lower-case hexadecimal digits."""

    trace_id: str
    """32 digits."""
    span_id: str
    """16 digits: of the span that what comes next belongs to."""
    parent_id: str = ""
    """Of the span that ``span_id`` belongs to; empty where the trace begins here."""
    sampled: bool = True
    """Whether spans are to be sent."""
    state: str = ""

    def below(self, span_id: str) -> Trace:
        """The same trace in a new span of it."""
        return Trace(self.trace_id, span_id, self.span_id, self.sampled, self.state)

    @property
    def headers(self) -> dict[str, str]:
        """What to send to whoever goes on with the trace."""
        parent = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"}
        return {**parent, "tracestate": self.state} if self.state else parent


def read_trace(parent: str, state: str = "") -> Trace | None:
    """The place that a client's headers name; None for anything else, which is to be ignored."""
    match = _PARENT.fullmatch(parent)
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    if not match[2].strip("0") or not match[3].strip("0"):
        return None
    sampled = bool(int(match[4], 16) & _SAMPLED)
    return Trace(match[2], match[3], sampled=sampled, state=state if _STATE.fullmatch(state) else "")


def read_request_id(text: str) -> str:
    """A client's ``X-Request-Id`` if it can do no harm in a log, a header or a table; else empty."""
    return text if _REQUEST_ID.fullmatch(text) else ""
