"""The actions that ``supervisor.step`` returns: what is to be done about engines. Pure.

``supervisor.children`` and ``supervisor.compiler`` carry the actions out; each result comes back as an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from vllama.engine.diagnose import Cause
from vllama.engine.spec import EngineSpec
from vllama.models.model import Model


@dataclass(frozen=True, slots=True)
class Plan:
    """Make a plan; answer with Planned, PlanRefused or NoRoom."""

    key: str
    run: int
    model: Model
    attempt: int = 0
    """How many plans before this one ran out of memory: this one must need less."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start the process and watch it; answer with Spawned, Progressed, Listening and at last Exited."""

    key: str
    run: int
    spec: EngineSpec


@dataclass(frozen=True, slots=True)
class Warm:
    """Let it make one token; answer with Warmed or Unhealthy."""

    key: str
    run: int


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let it free its memory and keep its process; answer with Slept or Unhealthy."""

    key: str
    run: int


@dataclass(frozen=True, slots=True)
class Wake:
    """Let it take its memory again and make one token; answer with Warmed, NoRoom or Unhealthy."""

    key: str
    run: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop it: SIGTERM and a deadline if ``gentle``, else SIGKILL at once; answer with Exited."""

    key: str
    run: int
    gentle: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """The ticket may use the engine."""

    ticket: int
    key: str
    run: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """The ticket will not be served, and why."""

    ticket: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Compile:
    """Start the process that makes compiled code, at the lowest priority; answer with CompilationEnded."""

    run: int
    model: Model
    spec: EngineSpec


@dataclass(frozen=True, slots=True)
class PauseCompilation:
    """Stop the process for a while (``paused``), or let it continue."""

    run: int
    paused: bool


@dataclass(frozen=True, slots=True)
class EndCompilation:
    """Kill the process; its CompilationEnded comes soon."""

    run: int


Action: TypeAlias = (
    Plan | Spawn | Warm | Sleep | Wake | Stop | Grant | Refuse | Compile | PauseCompilation | EndCompilation
)
