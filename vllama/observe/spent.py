"""What a request used: one value, made when its answer has ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from vllama.caller import Caller
from vllama.observe.trace import Trace

LEFT: Final = 499
"""Status of a request whose client left before the end of its answer."""
Outcome = Literal["ok", "left", "refused", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Spent:
    """Token counts are the engine's own; all answers to one request (OpenAI's ``n``) are counted together."""

    caller: Caller
    route: str
    """The pattern that the request matched, never a path with names in it."""
    model: str
    """Short name; empty where the request reached no model."""
    status: int
    """The HTTP status of the answer; 499: the client left before its end."""
    seconds: float
    """From the request's head to the end of the answer."""
    request_id: str = ""
    """``X-Request-Id``."""
    began: float = 0.0
    """Unix seconds of the request's head."""
    waiting: float | None = None
    """Seconds from the request's head until an engine was ready for it; None where none was."""
    machine_seconds: float | None = None
    """Its share of the machine's time: of those for whom engines work side by side, each has an equal part."""
    first_token: float | None = None
    """Seconds from the request's head to the first token; None without one."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of the prompt's that the engine found in its prefix cache."""
    generated_tokens: int = 0
    dropped_messages: int = 0
    """Oldest messages that were left out of the prompt."""
    cut_tokens: int = 0
    """Tokens that were cut out of the middle of the prompt."""
    broken: bool = False
    """The answer failed after it had begun: its status says nothing of it."""
    cancelled: bool = False
    """Somebody who manages the service ended it."""
    engine: str = ""
    """Key of the engine that answered; empty where none was ready for it."""
    trace: Trace | None = None
    """Its place in a trace; None where it is in none."""
    reads: int = 0
    """How often tokens came from the engine: at most as many as it generated, and known of a broken answer, too."""

    @property
    def outcome(self) -> Outcome:
        """How it ended. ``refused``: the request was wrong; ``failed``: we or the engine were."""
        if self.cancelled:
            return "cancelled"
        if self.status == LEFT:
            return "left"
        if self.broken or self.status >= 500:
            return "failed"
        return "refused" if self.status >= 400 else "ok"

    @property
    def engine_seconds(self) -> float:
        """Seconds for which an engine worked for it."""
        return 0.0 if self.waiting is None else max(0.0, self.seconds - self.waiting)

    @property
    def tokens_per_second(self) -> float | None:
        """Of the answer after its first token; None where there are too few to tell."""
        if self.first_token is None or self.generated_tokens < 2 or self.seconds <= self.first_token:
            return None
        return (self.generated_tokens - 1) / (self.seconds - self.first_token)
