"""Applies a changed configuration while the service runs; engines whose settings are the same keep running."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from vllama.config.changes import changed_keys
from vllama.config.load import Loaded
from vllama.disk import Reads
from vllama.errors import ConfigError, VllamaError
from vllama.http.limits import limits_of
from vllama.models.model import Model
from vllama.models.store import ModelStore
from vllama.observe import logs
from vllama.observe.news import Listens, Notice, Ready, Reloading
from vllama.service.named import Named
from vllama.service.running import Service
from vllama.supervisor.planner import needs_new_engine

_LOG: Final = logging.getLogger("vllama")
_AT_RESTART: Final = ("paths.",)
"""Keys that can't change while engines live in those directories."""
_READ_WITHIN: Final = 20.0
"""Seconds for the configuration and the models to be read again: their disk may not answer."""


class Reload:
    """Answers SIGHUP."""

    def __init__(self, service: Service, read: Callable[[], Loaded], named: Named) -> None:
        """``read`` reads the configuration; raises ConfigError."""
        self._service = service
        self._read = read
        self._named = named
        self._reads = Reads()

    async def answer(self) -> None:
        """Read the configuration again and apply it. An invalid one changes nothing."""
        feed = self._service.feed
        feed.publish(Reloading())
        try:
            loaded, store = await self._reads.done("configuration", self._read_again, _READ_WITHIN)
            said = await apply(self._service, loaded, store)
        except TimeoutError:
            _LOG.error(
                "not reloaded, the old configuration stays in effect: the configuration could not be read within %d s",
                _READ_WITHIN,
            )
            feed.publish(
                Notice("config", "the changed configuration can't be read and is not in use (see the journal)")
            )
        except VllamaError as error:
            problems = error.problems if isinstance(error, ConfigError) else ()
            parts = filter(None, (error.detail, *problems, error.advice))
            _LOG.error("not reloaded, the old configuration stays in effect: %s", "; ".join(parts))
            feed.publish(Notice("config", "the changed configuration is invalid and not in use (see the journal)"))
        else:
            _LOG.info("reloaded: %s", "; ".join(said))
            feed.publish(Notice("config", ""))
        finally:
            feed.publish(Ready())

    def _read_again(self) -> tuple[Loaded, ModelStore]:
        loaded = self._read()
        return loaded, self._named.reopened(loaded)


async def apply(service: Service, loaded: Loaded, store: ModelStore) -> list[str]:
    """Apply these and return what was done, as phrases for the log.

    Raises ConfigError or CannotListen, and then everything is as before.
    """
    before, after = service.loaded, replace(loaded, directories=service.loaded.directories)
    keys = changed_keys(before.config, after.config)
    app = service.app(after, store)
    said = [f"changed: {', '.join(keys)}" if keys else "nothing changed in the configuration"]
    if service.sockets.own and {"server.host", "server.port"} & {*keys}:
        await _rebind(service, after)
        said.append(f"listening on {after.config.server.host}:{after.config.server.port}")
    await service.server.serve(app, service.sockets.all, limits_of(after.config.server))
    service.supervision.follow(after)
    await service.books.traces.follow(after.config.observe.otlp)
    service.lookout.slos.follow(after.config.slos)
    service.lookout.usage.follow(after.config)
    if "log.level" in keys:
        logging.getLogger(logs.ROOT).setLevel(after.config.log.level.upper())
    said += [f"{key} takes effect at the next restart" for key in keys if key.startswith(_AT_RESTART)]
    service.loaded, service.store = after, store
    return said + await _renew_engines(service, before)


async def _rebind(service: Service, after: Loaded) -> None:
    await service.server.pause()
    try:
        service.sockets.rebind(after.config.server)
        service.feed.publish(Listens(*service.sockets.address))
    finally:
        await service.server.resume(service.sockets.all)


async def _renew_engines(service: Service, before: Loaded) -> list[str]:
    """End the engines of models that are gone, renew those whose settings changed."""
    said = []
    for view in service.supervisor.snapshot():
        name = view.model.name.short
        model = _model_of(service.store, view.model)
        if model is None:
            await service.supervisor.unload(view.model)
            said.append(f"{name} is no longer configured and is unloaded")
        elif await asyncio.to_thread(needs_new_engine, before, service.loaded, model, view.python):
            service.supervisor.renew(model)
            said.append(f"{name} gets a new engine when its answers have ended")
    return said


def _model_of(store: ModelStore, old: Model) -> Model | None:
    """The model of that engine under the new configuration; if there are several, the one that loaded it."""
    named = store.find(old.name)
    if named is not None and named.engine_key == old.engine_key:
        return replace(named, pinned=old.pinned)
    return next((model for model in store.all() if model.engine_key == old.engine_key), None)
