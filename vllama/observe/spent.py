"""What a request used: one value, made when its answer has ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from vllama.caller import Caller


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
    first_token: float | None = None
    """Seconds from the request's head to the first token; None without one."""
    prompt_tokens: int = 0
    generated_tokens: int = 0
    dropped_messages: int = 0
    """Oldest messages that were left out of the prompt."""
    cut_tokens: int = 0
    """Tokens that were cut out of the middle of the prompt."""
