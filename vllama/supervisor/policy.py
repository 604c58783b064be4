"""The supervisor's times and limits: pauses after crashes, breaker, number of engines. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vllama.config.schema import Config
from vllama.fit.plan import GENTLER_PLANS


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers behind the state machine; times in seconds."""

    keep_alive: float = 300.0
    """How long an engine stays loaded after its last use, unless a request sets this."""
    max_waiting: int = 512
    """Requests that may wait for engines to load."""
    backoff: float = 1.0
    backoff_max: float = 60.0
    breaker_crashes: int = 5
    breaker_window: float = 600.0
    breaker_cooloff: float = 60.0
    drain: float = 30.0
    """How long answers may go on when the daemon stops."""
    min_residence: float = 15.0
    """An engine is not evicted sooner than this after it became ready, so that two clients don't thrash."""
    max_loaded: int | None = None
    """Engines that may be loaded at once (``OLLAMA_MAX_LOADED_MODELS``); None: as many as memory allows."""
    parallel_starts: int = 1
    """Engines that may be between their plan and their first token at the same time."""
    start_attempts: int = 2
    """Failed starts in a row after which waiting requests get an error."""
    compiles: bool = True
    """Missing compiled code is made while the machine is idle (``engine.compile``)."""
    gentler_plans: int = GENTLER_PLANS
    """Plans with less memory that are tried after an engine ran out of it."""


_CORES_OF_A_START: Final = 8
"""A start imports, compiles and warms up on several cores; on fewer than these two would only slow each other down."""
_MOST_STARTS: Final = 4


def starts_for(cores: int) -> int:
    """How many engines may start at once on ``cores`` cores, unless configured."""
    return min(max(cores // _CORES_OF_A_START, 1), _MOST_STARTS)


def policy_of(config: Config, cores: int) -> Policy:
    """The policy that the configuration sets; ``cores``: how many CPU cores the service may use."""
    engine = config.engine
    return Policy(
        keep_alive=config.keep_alive,
        max_waiting=config.server.max_queue,
        backoff=engine.restart_backoff,
        backoff_max=engine.restart_backoff_max,
        breaker_crashes=engine.breaker_crashes,
        breaker_window=engine.breaker_window,
        breaker_cooloff=engine.breaker_cooloff,
        drain=engine.drain_timeout,
        max_loaded=engine.max_loaded,
        parallel_starts=engine.parallel_starts or starts_for(cores),
        min_residence=engine.min_residence,
        compiles=engine.compile == "auto",
    )


def backoff_delay(crashes: int, policy: Policy) -> float:
    """Pause before the next start after this many recent crashes: doubles from ``backoff`` to ``backoff_max``."""
    return min(policy.backoff * 2.0 ** min(max(crashes - 1, 0), 30), policy.backoff_max)


def recent(crashes: tuple[float, ...], now: float, policy: Policy) -> tuple[float, ...]:
    """The crashes that still count."""
    return tuple(at for at in crashes if now - at < policy.breaker_window)


def breaker_open(crashes: tuple[float, ...], now: float, policy: Policy) -> bool:
    """Too many crashes too quickly: a person is needed, or the cool-off."""
    return len(recent(crashes, now, policy)) >= policy.breaker_crashes
