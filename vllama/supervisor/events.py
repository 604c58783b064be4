"""The events that ``supervisor.step`` takes: what can happen to engines. Pure.

Every event says when it happened (monotonic seconds) and, where it belongs to one run of an engine, its ``run``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from vllama.engine.diagnose import Cause
from vllama.engine.spec import EngineSpec
from vllama.models.model import Model
from vllama.supervisor.policy import Policy
from vllama.supervisor.states import Capacity


@dataclass(frozen=True, slots=True)
class LeaseWanted:
    """A request needs ``model``; answered by Grant or Refuse."""

    now: float
    ticket: int
    model: Model
    keep_alive: float | None = None


@dataclass(frozen=True, slots=True)
class LeaseReturned:
    """The request has ended or gave up waiting; sent exactly once per ticket."""

    now: float
    ticket: int
    key: str


@dataclass(frozen=True, slots=True)
class UnloadWanted:
    """Unload when idle."""

    now: float
    key: str


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The settings of ``model`` have changed: stop its engine after its answers, then make a new plan."""

    now: float
    model: Model


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """These durations and limits apply from now on."""

    now: float
    policy: Policy


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan is made: this is how to start it."""

    now: float
    key: str
    run: int
    spec: EngineSpec


@dataclass(frozen=True, slots=True)
class PlanRefused:
    """It can't be started at all."""

    now: float
    key: str
    run: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class NoRoom:
    """It would fit if ``missing`` bytes more were free; ``cause`` is the error if they can't be."""

    now: float
    key: str
    run: int
    missing: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Spawned:
    """The process exists."""

    now: float
    key: str
    run: int
    pid: int


@dataclass(frozen=True, slots=True)
class Progressed:
    """The engine reported a stage of its start."""

    now: float
    key: str
    run: int
    stage: str


@dataclass(frozen=True, slots=True)
class Listening:
    """``/health`` answered 200."""

    now: float
    key: str
    run: int


@dataclass(frozen=True, slots=True)
class Warmed:
    """It produced a token (or an embedding)."""

    now: float
    key: str
    run: int
    capacity: Capacity


@dataclass(frozen=True, slots=True)
class Slept:
    """It has freed its memory, and its process waits to be woken."""

    now: float
    key: str
    run: int


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """It is alive but does not work (hung, stalled, refuses its smoke test)."""

    now: float
    key: str
    run: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Died:
    """Its main process is gone; what it left behind is being stopped, Exited follows."""

    now: float
    key: str
    run: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The whole process group is gone. ``cause`` is the reason, in case it was unexpected."""

    now: float
    key: str
    run: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class CompilationProgressed:
    """The process that compiles reported a stage."""

    now: float
    run: int
    stage: str


@dataclass(frozen=True, slots=True)
class CompilationEnded:
    """The process that compiled is gone, or was not started."""

    now: float
    run: int
    made: bool = False
    """The compiled code is in the cache."""
    later: bool = False
    """There was no room for it in memory: try again later."""
    cause: Cause | None = None
    """Why it failed, if it did so by itself."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""

    now: float


@dataclass(frozen=True, slots=True)
class Closing:
    """The daemon stops: refuse, drain, stop. The second one: kill at once."""

    now: float


LifeEvent: TypeAlias = (
    Planned | PlanRefused | NoRoom | Spawned | Progressed | Listening | Warmed | Slept | Unhealthy | Died | Exited
)
"""Of one run of an engine."""

Event: TypeAlias = (
    LeaseWanted
    | LeaseReturned
    | UnloadWanted
    | Reconfigured
    | PolicyChanged
    | CompilationProgressed
    | CompilationEnded
    | Ticked
    | Closing
    | LifeEvent
)
