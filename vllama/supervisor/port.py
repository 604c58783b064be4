"""The supervisor's interface for the rest of vLLama.

``http`` holds an ``Engines`` and never sees a process, a GPU or the state machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from vllama.engine.client import Client
from vllama.engine.compilation import CodeOutcome
from vllama.models.model import Model
from vllama.supervisor.states import FOREVER, LOADING, CodeState, Phase
from vllama.translate.conversation.template_shapes import NATURAL, TemplateShapes

__all__ = ["FOREVER", "LOADING", "EngineView", "Engines", "Lease", "Phase", "Wish"]


@dataclass(frozen=True, slots=True)
class EngineView:
    """One engine as people see it (``/api/ps``, ``vllama ps``, STATUS, metrics)."""

    model: Model
    """The model whose request loaded the engine."""
    phase: Phase
    stage: str
    """Progress in people's words while not ready: ``loading weights 62 %``."""
    since: float
    """Unix seconds of the last phase change."""
    expires_at: float | None
    """Unix seconds when it is unloaded if idle; ``inf`` = never; None while it isn't ready."""
    leases: int
    waiting: int
    size: int
    """Bytes it uses (weights + KV cache + overhead); 0 when not known yet."""
    size_vram: int
    context_length: int
    """Tokens really allocated (max_model_len); 0 when not known yet."""
    kv_tokens: int
    """Capacity of the KV cache in tokens; 0 when not known yet."""
    pid: int | None
    restarts: int
    cause: str
    """Why it failed, with what to do; empty when it did not."""
    python: str = ""
    """The interpreter of its vLLM; empty before it was planned."""
    code: CodeState = ""
    """How its compiled code is, where it misses any."""
    compiling: str = ""
    """What is being done about its missing compiled code, in people's words; empty when nothing is."""
    code_from: CodeOutcome = ""
    """How it got its compiled code; empty before it is ready, and where nothing is compiled."""
    code_fault: str = ""
    """What of it was thrown away or done twice; empty where nothing was."""
    yielding: bool = False
    """It finishes its answers and takes no new ones, because another model needs its memory."""
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs it lives on; empty without one, and before it was planned."""
    weights: int = 0
    """Planned bytes of weights; 0 when not known yet."""
    kv_cache: int = 0
    """Planned bytes of the KV cache; 0 without one and when not known yet."""
    max_requests: int = 0
    """Requests that it computes together; 0 when not known."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use one ready engine; held inside ``async with`` and returned in any case."""

    client: Client
    served_name: str
    """What to send as ``model``."""
    max_model_len: int
    cold: bool
    """True when this request had to wait for the engine to load."""
    suspect: Callable[[], Awaitable[None]]
    """Await it when the engine seems gone, before the client gets the error: the next request waits for a new one.

    Raises Busy when the service is stopping, and ended the engine itself: the client gets that error instead."""
    shapes: TemplateShapes = NATURAL
    """What the model's chat template takes."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A request's order to the supervisor."""

    model: Model
    keep_alive: float | None = None
    """Seconds to stay loaded after the last use; ``FOREVER``; 0: unload at the end; None: leave the current duration,
    or take the configured default where this request loads the model."""


class Engines(Protocol):
    """Implemented by ``supervisor.loop.Supervisor``; faked in tests by a class of the same shape."""

    def lease(self, wish: Wish) -> AbstractAsyncContextManager[Lease]:
        """Wait until the model has a ready engine, and use it.

        Raises LoadFailed, EngineNotInstalled, Busy, ModelUnusable. Cancelling the waiting task gives the place back.
        """
        ...

    def snapshot(self) -> tuple[EngineView, ...]:
        """All engines that are not absent, cheap, never blocks."""
        ...

    async def unload(self, model: Model) -> None:
        """Unload as soon as running requests have ended; returns at once; no error when it isn't loaded."""
        ...
