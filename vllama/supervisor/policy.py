"""How patient the supervisor is: backoff, breaker, limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers behind the state machine; times in seconds."""

    keep_alive: float = 300.0
    """How long an engine stays after its last use when its requests don't say."""
    max_waiting: int = 512
    """Requests that may wait for engines to load."""
    backoff: float = 1.0
    backoff_max: float = 60.0
    breaker_crashes: int = 5
    breaker_window: float = 600.0
    breaker_cooloff: float = 60.0
    drain: float = 30.0
    """How long answers may go on when the daemon stops."""
    start_attempts: int = 2
    """Failed starts in a row after which those who wait are told."""


def backoff_delay(crashes: int, policy: Policy) -> float:
    """Pause before the next start after so many recent crashes: doubles from ``backoff`` to ``backoff_max``."""
    return min(policy.backoff * 2.0 ** min(max(crashes - 1, 0), 30), policy.backoff_max)


def recent(crashes: tuple[float, ...], now: float, policy: Policy) -> tuple[float, ...]:
    """The crashes that still count."""
    return tuple(at for at in crashes if now - at < policy.breaker_window)


def breaker_open(crashes: tuple[float, ...], now: float, policy: Policy) -> bool:
    """Too many crashes too quickly: a person is needed, or the cool-off."""
    return len(recent(crashes, now, policy)) >= policy.breaker_crashes
