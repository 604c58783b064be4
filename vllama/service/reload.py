"""Applies a changed configuration while the service runs; engines whose settings are the same keep running."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aiohttp import web

from vllama.aside.pool import Pool
from vllama.config.changes import changed_keys
from vllama.config.keys import KeyRing, key_files
from vllama.config.load import Loaded
from vllama.download.transfer import Downloads
from vllama.fit.gpu import usable_cores
from vllama.http.app import make_app
from vllama.http.limits import limits_of
from vllama.http.listener import bind
from vllama.http.server import Server
from vllama.models.create import Creator
from vllama.models.model import Model
from vllama.models.store import ModelStore
from vllama.observe import logs
from vllama.observe.metrics import Metrics
from vllama.service.pulling import make_puller
from vllama.supervisor.loop import Supervisor
from vllama.supervisor.planner import Planner, needs_new_engine
from vllama.supervisor.policy import policy_of
from vllama.supervisor.probes import patience_of

_AT_RESTART: Final = ("paths.",)
"""Keys that can't change while engines live in those directories."""


@dataclass(slots=True)
class Service:
    """What runs, and the current configuration. Only ``reload`` changes it."""

    loaded: Loaded
    store: ModelStore
    sockets: list[socket.socket]
    own_sockets: bool
    """We bound them; false where an administrator's socket unit did."""
    server: Server
    supervisor: Supervisor
    metrics: Metrics
    downloads: Downloads
    aside: Pool
    environ: Mapping[str, str]
    keys: KeyRing = field(default_factory=lambda: KeyRing(()))

    def app(self, loaded: Loaded, store: ModelStore) -> web.Application:
        """The front end as configured; raises ConfigError."""
        files = key_files(loaded.config.server.keys_file, loaded.state, self.environ)
        if files != self.keys.files:  # else keep the ring: it knows the last good keys of a file that is broken now
            self.keys = KeyRing(files)
        puller = make_puller(loaded, store, self.downloads, self.environ, self._sizes)
        creator = Creator(store, puller.pull)
        return make_app(
            loaded.config,
            self.supervisor,
            store,
            self.metrics,
            puller=puller,
            creator=creator,
            aside=self.aside,
            keys=self.keys,
        )

    def _sizes(self) -> list[tuple[int, int]]:
        return [(view.size, view.size_vram) for view in self.supervisor.snapshot() if view.pid is not None]

    async def reload(self, loaded: Loaded, store: ModelStore) -> list[str]:
        """Apply these and return what was done, as phrases for the log.

        Raises ConfigError or CannotListen, and then everything is as before.
        """
        before, after = self.loaded, replace(loaded, directories=self.loaded.directories)
        keys = changed_keys(before.config, after.config)
        app = self.app(after, store)
        said = [f"changed: {', '.join(keys)}" if keys else "nothing changed in the configuration"]
        if self.own_sockets and {"server.host", "server.port"} & {*keys}:
            await self._rebind(after)
            said.append(f"listening on {after.config.server.host}:{after.config.server.port}")
        await self.server.serve(app, self.sockets, limits_of(after.config.server))
        policy, patience = policy_of(after.config, usable_cores()), patience_of(after.config)
        self.supervisor.reconfigure(Planner(after, self.environ), policy, patience)
        if "log.level" in keys:
            logging.getLogger(logs.ROOT).setLevel(after.config.log.level.upper())
        said += [f"{key} takes effect at the next restart" for key in keys if key.startswith(_AT_RESTART)]
        self.loaded, self.store = after, store
        return said + await self._renew_engines(before)

    async def _rebind(self, after: Loaded) -> None:
        await self.server.pause()
        try:
            self.sockets = bind(after.config.server.host, after.config.server.port, self.sockets)
        finally:
            await self.server.resume(self.sockets)

    async def _renew_engines(self, before: Loaded) -> list[str]:
        """End the engines of models that are gone, renew those whose settings changed."""
        said = []
        for view in self.supervisor.snapshot():
            name = view.model.name.short
            model = self._model_of(view.model)
            if model is None:
                await self.supervisor.unload(view.model)
                said.append(f"{name} is no longer configured and is unloaded")
            elif await asyncio.to_thread(needs_new_engine, before, self.loaded, model, view.python):
                self.supervisor.renew(model)
                said.append(f"{name} gets a new engine when its answers have ended")
        return said

    def _model_of(self, old: Model) -> Model | None:
        """The model of that engine under the new configuration; if there are several, the one that loaded it."""
        named = self.store.find(old.name)
        if named is not None and named.engine_key == old.engine_key:
            return replace(named, pinned=old.pinned)
        return next((model for model in self.store.all() if model.engine_key == old.engine_key), None)
