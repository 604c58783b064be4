"""``FakeEngines``: the supervisor's port without a supervisor, for tests of the HTTP layer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from vllama.engine.client import EngineClient
from vllama.errors import VllamaError
from vllama.models.model import Model
from vllama.supervisor.port import FOREVER, EngineView, Lease, Wish


@dataclass
class _Loaded:
    model: Model
    keep_alive: float
    since: float
    leases: int = 0


class FakeEngines:
    """Leases clients of engines that run already; satisfies ``vllama.supervisor.port.Engines``.

    ``clients`` maps an engine's name (``model.path.name``) to its client, ``failure`` is raised by every lease.
    """

    def __init__(self, clients: Mapping[str, EngineClient], *, max_model_len: int = 2048) -> None:
        self.failure: VllamaError | None = None
        self.keep_alives: list[float | None] = []
        """What each lease asked for, in order."""
        self._clients = clients
        self._max_model_len = max_model_len
        self._loaded: dict[str, _Loaded] = {}

    @asynccontextmanager
    async def lease(self, wish: Wish) -> AsyncIterator[Lease]:
        """The port's ``lease``; the first of a model is cold."""
        model, keep_alive = wish.model, wish.keep_alive
        self.keep_alives.append(keep_alive)
        if self.failure is not None:
            raise self.failure
        key = model.engine_key
        cold = key not in self._loaded
        loaded = self._loaded.setdefault(key, _Loaded(model, 300.0, time.time()))
        if keep_alive is not None:
            loaded.keep_alive = keep_alive
        loaded.leases += 1
        try:
            name = model.path.name
            yield Lease(self._clients[name], name, self._max_model_len, cold, _nothing)
        finally:
            loaded.leases -= 1
            if loaded.keep_alive == 0 and not loaded.leases:
                self._loaded.pop(key, None)

    def clients(self) -> Mapping[str, EngineClient]:
        """For the metrics scrape: engines that are loaded, by model name."""
        return {loaded.model.name.short: self._clients[loaded.model.path.name] for loaded in self._loaded.values()}

    def snapshot(self) -> tuple[EngineView, ...]:
        """The port's ``snapshot``."""
        return tuple(self._view(loaded) for loaded in self._loaded.values())

    async def unload(self, model: Model) -> None:
        """The port's ``unload``."""
        self._loaded.pop(model.engine_key, None)

    def _view(self, loaded: _Loaded) -> EngineView:
        ends = FOREVER if loaded.keep_alive == FOREVER else time.time() + loaded.keep_alive
        return EngineView(
            model=loaded.model,
            phase="ready",
            stage="",
            since=loaded.since,
            expires_at=ends,
            leases=loaded.leases,
            waiting=0,
            size=2_000_000_000,
            size_vram=0,
            context_length=self._max_model_len,
            kv_tokens=65_536,
            pid=None,
            restarts=0,
            cause="",
            weights=1_200_000_000,
            kv_cache=500_000_000,
            max_requests=64,
        )


async def _nothing() -> None:
    """A fake engine that is gone stays gone."""
