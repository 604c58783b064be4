"""The interface of a planner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vllama.engine.progress import Progress
from vllama.engine.spec import EngineSpec
from vllama.models.model import Model
from vllama.supervisor.tenants import Tenant


class Planner(Protocol):
    """Works out how to start engines (``planner.LocalPlanner``)."""

    async def spec(self, model: Model, tenants: Sequence[Tenant], attempt: int) -> EngineSpec:
        """How to start ``model`` next to these tenants; each ``attempt`` takes less memory than the one before.

        Raises NoRoomYet if engines must be unloaded first, another VllamaError if it can't be started at all, or not
        next to engines that load.
        """
        ...

    async def room_to_wake(self, sleeper: Tenant, tenants: Sequence[Tenant]) -> None:
        """Raises NoRoomYet when the sleeper would not find its memory free."""
        ...

    async def room_to_compile(self, spec: EngineSpec, tenants: Sequence[Tenant]) -> None:
        """Raises NoRoomYet when the compilation of ``spec`` would not find its memory free."""
        ...

    async def learn(self, spec: EngineSpec, progress: Progress) -> None:
        """The engine of ``spec`` reported this about its memory and its compiled code."""
        ...

    async def distrust(self, spec: EngineSpec, progress: Progress) -> None:
        """The engine of ``spec`` died, not for lack of memory: what it loaded or compiled just then may be why."""
        ...
