"""What the supervisor knows about its engines: frozen values, changed only by ``supervisor.step``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vllama.engine.compilation import CodeOutcome
from vllama.engine.diagnose import Cause
from vllama.engine.spec import EngineSpec
from vllama.models.model import Model
from vllama.supervisor.outlook import Outlook, Setbacks, Short
from vllama.supervisor.policy import Policy
from vllama.supervisor.tenants import Tenant

Phase = Literal[
    "absent", "planning", "starting", "warming", "ready", "draining", "failing", "stopping", "backoff", "broken",
    "dozing", "asleep", "waking",
]  # fmt: skip

CodeState = Literal["", "missing", "compiling", "failed"]
"""Compiled code that an eager engine misses; empty: it misses none."""

FOREVER = float("inf")

LOADING: tuple[Phase, ...] = ("planning", "starting", "warming", "waking")
RESTING: tuple[Phase, ...] = ("absent", "asleep")
"""Nothing is going on, and it may stand in the queue."""


@dataclass(frozen=True, slots=True)
class Waiter:
    """A request that waits for its engine."""

    ticket: int
    keep_alive: float | None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a ready engine reports of itself."""

    max_model_len: int = 0
    kv_tokens: int = 0
    code_from: CodeOutcome = ""
    """How it got its compiled code."""
    code_fault: str = ""
    """What of it was thrown away or done twice; empty where nothing was."""


@dataclass(frozen=True, slots=True)
class EngineState:
    """One engine. ``run`` numbers its processes; an event of an older run is ignored."""

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
    used_at: float = 0.0
    """When its last request ended."""
    outlook: Outlook = "open"
    """What is known about its next load; ``moves.enter`` forgets it."""
    setbacks: Setbacks = field(default_factory=Setbacks)
    yielding: bool = False
    """Ready, but another engine needs its room: it finishes its answers and takes no new ones."""
    outdated: bool = False
    """Ready, but the configuration wants another: it finishes its answers and takes no new ones."""
    unload: bool = False
    """An unload was asked for while it loads."""
    retry_at: float = 0.0
    """While in ``backoff``: when it is loaded again."""
    broken_until: float = 0.0
    """While ``broken``: when a request may try again."""
    drain_until: float = 0.0
    """While ``draining``: when it is stopped, whatever runs."""
    restarts: int = 0
    cause: Cause | None = None
    compiles: EngineSpec | None = None
    """The start that makes the compiled code which its last plan missed; None: it is there, or is not wanted."""
    compile_at: float = 0.0
    """Not to be compiled sooner than this: there was no room."""
    compile_kills: int = 0
    """How often the process that compiled was killed by others since the last plan."""
    renew: bool = False
    """It is ready and eager, and its compiled code was made meanwhile: it is loaded again once it was idle for long."""
    uncompiled: str = ""
    """Why the compiled code could not be made ..."""
    uncompiled_code: str = ""
    """... which is called so in ``EngineSpec.code``: it is not tried again."""

    @property
    def key(self) -> str:
        """Names this engine in events and actions."""
        return self.model.engine_key

    @property
    def tenant(self) -> Tenant:
        """What it holds of the machine."""
        spec, asleep = self.spec, self.phase == "asleep"
        return Tenant(
            self.key,
            size=spec.size if spec else 0,
            pid=self.pid,
            size_vram=spec.size_vram if spec else 0,
            gpus=spec.gpus if spec else (),
            lazy=spec.kv_cache if spec else 0,
            asleep=spec.asleep if spec else 0,
            sleeping=asleep,
            loading=self.phase in LOADING,
            pinned=self.model.pinned,
            used_at=FOREVER if self.leases else self.used_at,
            settled_at=-FOREVER if asleep else self.since,
        )


@dataclass(frozen=True, slots=True)
class Compilation:
    """The one process that makes compiled code in idle time. ``run`` numbers them."""

    key: str
    run: int
    since: float
    stage: str = ""
    paused: bool = False
    """It stands still, because a request runs."""
    ending: bool = False
    """It is being killed; its CompilationEnded follows."""


@dataclass(frozen=True, slots=True)
class State:
    """All engines. ``queue`` holds the keys that want to load, first come first served."""

    policy: Policy
    engines: Mapping[str, EngineState] = field(default_factory=dict)
    queue: tuple[str, ...] = ()
    closing: bool = False
    compilation: Compilation | None = None
    """While there is one, no engine is planned or loaded."""
    compilations: int = 0
    """How many there were."""


def next_deadline(state: State) -> float | None:
    """When a Ticked is due next, if nothing else happens."""
    times = [e.retry_at for e in state.engines.values() if e.phase == "backoff"]
    times += [e.drain_until for e in state.engines.values() if e.phase == "draining"]
    times += [at for e in state.engines.values() if (at := expiry(e)) is not None and at != FOREVER]
    head = state.engines[state.queue[0]] if state.queue else None
    if head is not None and isinstance(head.outlook, Short):
        times += [ripe for e in state.engines.values() if (ripe := _ripe_at(e, state.policy)) is not None]
    return min(times, default=None)


def tenants(state: State) -> tuple[Tenant, ...]:
    """All that have a process, and so hold memory."""
    return tuple(engine.tenant for engine in state.engines.values() if engine.pid is not None)


def residents(state: State) -> tuple[Tenant, ...]:
    """Engines that may be evicted: ready and not pinned."""
    return tuple(e.tenant for e in state.engines.values() if e.phase == "ready" and not e.model.pinned)


def sleepers(state: State) -> tuple[Tenant, ...]:
    """Those that sleep and that nobody waits for: what they keep can be had by ending them."""
    return tuple(e.tenant for e in state.engines.values() if e.phase == "asleep" and not e.waiters)


def expiry(engine: EngineState) -> float | None:
    """When it is ended if nothing happens; None while somebody uses it or waits for it to wake up."""
    idle = (engine.phase == "ready" and not engine.leases) or (engine.phase == "asleep" and not engine.waiters)
    return engine.expires_at if idle else None


def _ripe_at(engine: EngineState, policy: Policy) -> float | None:
    """When a ready engine has stayed its time and may be evicted; None when it may already, or never."""
    if engine.phase != "ready" or engine.model.pinned:
        return None
    return engine.since + policy.min_residence


def lacks_room_for(model: Model, engine: EngineState) -> bool:
    """Whether the model's LoRA adapter can't be loaded into the engine as it was, or is going to be, started."""
    if model.adapter is None:
        return False
    started = engine.phase in {"starting", "warming", "ready", "dozing", "asleep", "waking"} and engine.spec is not None
    return (engine.spec.lora_rank if started and engine.spec else engine.model.lora_rank) < model.adapter.rank


def waiting(state: State) -> int:
    """How many requests wait in line; the one for which an engine is being loaded no longer counts."""
    waiters = sum(len(e.waiters) for e in state.engines.values())
    return waiters - sum(bool(e.waiters) and e.phase in LOADING for e in state.engines.values())
