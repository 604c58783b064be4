"""What the supervisor knows about its engines: frozen values, changed only by ``supervisor.step``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vllama.engine.diagnose import Cause
from vllama.engine.spec import EngineSpec
from vllama.models.model import Model
from vllama.supervisor.policy import Policy

Phase = Literal[
    "absent", "planning", "starting", "warming", "ready", "draining", "failing", "stopping", "backoff", "broken"
]

FOREVER = float("inf")

LOADING: tuple[Phase, ...] = ("planning", "starting", "warming")


@dataclass(frozen=True, slots=True)
class Waiter:
    """A request that waits for its engine."""

    ticket: int
    keep_alive: float | None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a ready engine told about itself."""

    max_model_len: int = 0
    kv_tokens: int = 0


@dataclass(frozen=True, slots=True)
class EngineState:
    """One engine. ``run`` numbers its incarnations; an event of an older run is history."""

    model: Model
    phase: Phase = "absent"
    run: int = 0
    since: float = 0.0
    stage: str = ""
    spec: EngineSpec | None = None
    pid: int | None = None
    capacity: Capacity = Capacity()
    waiters: tuple[Waiter, ...] = ()
    leases: frozenset[int] = frozenset()
    keep_alive: float = 0.0
    """Seconds to stay after the last use."""
    expires_at: float | None = None
    """When an idle ready engine is stopped; while leased: what people are shown."""
    wanted: bool = False
    """It was ready and has not expired: after a crash it is started again without a new request."""
    unload: bool = False
    """An unload was asked for while it loads."""
    retry_at: float = 0.0
    crashes: tuple[float, ...] = ()
    failed_starts: int = 0
    restarts: int = 0
    cause: Cause | None = None

    @property
    def key(self) -> str:
        """Names this engine in events and actions."""
        return self.model.engine_key


@dataclass(frozen=True, slots=True)
class State:
    """All engines. ``queue`` holds the keys that want to load, first come first served."""

    policy: Policy
    engines: Mapping[str, EngineState] = field(default_factory=dict)
    queue: tuple[str, ...] = ()
    closing: bool = False


def next_deadline(state: State) -> float | None:
    """When a Ticked is due next, if nothing else happens."""
    times = [e.retry_at for e in state.engines.values() if e.phase in {"backoff", "draining"}]
    times += [
        e.expires_at
        for e in state.engines.values()
        if e.phase == "ready" and not e.leases and e.expires_at is not None and e.expires_at != FOREVER
    ]
    return min(times, default=None)


def waiting(state: State) -> int:
    """How many requests wait in line; the one whose engine is being loaded no longer counts (contract 8.1)."""
    waiters = sum(len(e.waiters) for e in state.engines.values())
    return waiters - any(e.waiters and e.phase in LOADING for e in state.engines.values())
