"""The composition root: builds everything once from the configuration, runs it, and takes it down in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from vllama import __version__
from vllama.aside.pool import Pool
from vllama.config.directories import make_directories
from vllama.config.load import Loaded
from vllama.config.ownership import sole_owner
from vllama.config.schema import Config
from vllama.disk import Reads
from vllama.download.transfer import Downloads
from vllama.engine import kept_code
from vllama.engine.cgroup import bound_front_end
from vllama.engine.leftovers import sweep
from vllama.errors import ConfigError, EngineNotInstalled, VllamaError
from vllama.fit.gpu import usable_cores
from vllama.http.limits import limits_of, raise_descriptor_limit
from vllama.http.listener import bind
from vllama.http.server import Server
from vllama.install.engines import locate
from vllama.models.model import Model
from vllama.models.names import parse_name
from vllama.models.store import ModelStore
from vllama.observe.metrics import Metrics
from vllama.service.notify import Notifier, passed_sockets
from vllama.service.reload import Service
from vllama.service.signals import Signals
from vllama.service.stock import registry_of
from vllama.supervisor.loop import Supervisor
from vllama.supervisor.planner import Planner
from vllama.supervisor.policy import policy_of
from vllama.supervisor.port import FOREVER, EngineView, Wish
from vllama.supervisor.probes import patience_of
from vllama.supervisor.spawner import LocalSpawner
from vllama.supervisor.states import LOADING
from vllama.supervisor.tasks import Tasks, outcome

_LOG = logging.getLogger("vllama")


class Watcher(Protocol):
    """Shows how the service starts: a terminal, or nothing under systemd."""

    def listening(self, host: str, port: int) -> None:
        """The port is bound."""

    def changed(self, engine: EngineView) -> None:
        """An engine's phase or stage changed."""

    def preloaded(self, model: Model, error: VllamaError | None) -> None:
        """A preloaded model is ready, or failed with a reason."""


Reader = Callable[[], tuple[Loaded, ModelStore]]
"""Reads the configuration and the models again; raises ConfigError."""

_LAST_STEPS = 60.0
"""Seconds after the drain time in which engines end or are killed, and their processes are gone."""
_LONGEST_SILENCE = 24 * 3600.0
_PATIENCE = 60.0
"""Seconds for a look at the installed engine, which is asked what it can do when it is new."""
_LOOK_AGAIN = 5.0
"""Seconds between two looks at the installed engine: one small file."""
_READ_WITHIN = 20.0
"""Seconds for the configuration and the models to be read again: their disk may not answer."""


async def serve(
    loaded: Loaded,
    named: Sequence[Model],
    store: ModelStore,
    environ: Mapping[str, str],
    *,
    watcher: Watcher,
    read_again: Reader,
) -> None:
    """Serve until SIGTERM or SIGINT. ``named``: models to load at once and keep.

    Raises CannotListen, AlreadyRunning, ConfigError before anything is served.
    """
    config = loaded.config
    make_directories(loaded.directories)
    bound_front_end()
    raise_descriptor_limit()
    with sole_owner(loaded.runtime) as runtime, sole_owner(loaded.state) as state:
        await asyncio.to_thread(_sweep_leftovers, loaded.runtime)
        await asyncio.to_thread(store.sweep)
        await asyncio.to_thread(kept_code.sweep, loaded.cache, time.time())
        notifier = Notifier(environ)
        sockets, own = _listen(config, notifier, environ)
        starting = True

        def changed(view: EngineView) -> None:
            notifier.status(supervisor.snapshot())
            if view.phase in LOADING and starting:  # the supervisor itself ends a start that stalls
                notifier.extend(min(config.engine.stall_timeout, _LONGEST_SILENCE) + _LAST_STEPS)
            metrics.engine_changed(view)
            watcher.changed(view)

        supervisor = Supervisor(
            Planner(loaded, environ),
            policy_of(config, usable_cores()),
            patience_of(config),
            changed,
            LocalSpawner(lambda: service.loaded.config.engine.spare),
        )
        metrics = Metrics(supervisor)
        downloads = Downloads(loaded.state, environ, registry_of(loaded))
        server = Server(lambda: {view.model.engine_key for view in supervisor.snapshot() if view.yielding})
        metrics.watch(server.crowd)
        aside = Pool(environ)
        service = Service(loaded, store, sockets, own, server, supervisor, metrics, downloads, aside, environ)
        signals = Signals(supervised=notifier.supervised)
        engine = _EngineWatch(service, notifier)
        beside = Tasks()
        beside.start(_beat(notifier, supervisor), _logged)
        beside.start(_hurry(signals, supervisor), _logged)
        try:
            await service.server.serve(service.app(loaded, store), sockets, limits_of(config.server))
            host, port = sockets[0].getsockname()[:2]
            for owner in (runtime, state):
                owner.listens_on(port)
            _LOG.info("vLLama %s listens on %s:%d", __version__, host, port)
            watcher.listening(host, port)
            await engine.look()
            await _preload(_wanted(loaded, named, store), supervisor, watcher, signals.stop)
            starting = False
            beside.start(_await_engine(engine, service, named, watcher, signals.stop), _logged)
            notifier.ready()
            notifier.status(supervisor.snapshot())
            # these objects live as long as the service: a collection that visits them would hold up streams
            gc.freeze()
            reads = Reads()
            while await signals.reload_wanted():
                await outcome(
                    _reload(service, partial(reads.done, "configuration", read_again, _READ_WITHIN), notifier)
                )
                for owner in (runtime, state):
                    owner.listens_on(service.sockets[0].getsockname()[1])
                await outcome(_renewed(engine, service, watcher, signals))
            drain = service.loaded.config.engine.drain_timeout
            _LOG.info("stopping: running answers may go on for up to %.0f s", drain)
        finally:
            notifier.stopping(service.loaded.config.engine.drain_timeout + _LAST_STEPS)
            await _take_down(service, signals)
            await beside.close(0)
            _LOG.info("stopped")
            notifier.close()


async def _take_down(service: Service, signals: Signals) -> None:
    """In order: no new connections, no downloads, no engines, no old connections. What fails does not keep the rest."""
    await outcome(service.server.pause())
    await outcome(signals.unless_hurried(service.downloads.close()))
    await outcome(service.supervisor.close())
    await outcome(service.aside.close())
    await outcome(signals.unless_hurried(service.server.close()))


async def _hurry(signals: Signals, supervisor: Supervisor) -> None:
    """A second Ctrl-C: stop without waiting for answers."""
    await signals.hurry.wait()
    _LOG.warning("stopping at once: running answers are cut")
    supervisor.hurry()


def _logged(_: Exception) -> None:
    """The error is in the log already; the service goes on."""


def _listen(config: Config, notifier: Notifier, environ: Mapping[str, str]) -> tuple[list[socket.socket], bool]:
    """The listening sockets and whether they are our own: kept from before a restart, or bound now.

    An administrator's socket unit decides instead of ``server.host`` where there is one.
    """
    passed = passed_sockets(environ)
    given = [one.socket for one in passed if not one.ours]
    kept = [one.socket for one in passed if one.ours]
    if given:
        for unused in kept:
            unused.close()
        return given, False
    sockets = bind(config.server.host, config.server.port, kept)
    notifier.store(sockets)
    return sockets, True


async def _beat(notifier: Notifier, supervisor: Supervisor) -> None:
    """The watchdog's beat: it comes only while the event loop turns and the supervisor handles events."""
    while notifier.beat_every is not None:
        supervisor.turn()
        notifier.beat()
        await asyncio.sleep(notifier.beat_every)


class _EngineWatch:
    """Says what is missing as long as no engine is installed; without one we serve all that needs none."""

    def __init__(self, service: Service, notifier: Notifier) -> None:
        self._service = service
        self._notifier = notifier
        self._reads = Reads()
        self._problem = ""

    async def look(self) -> bool:
        """Whether an engine was installed since the last look. Changes are logged."""
        loaded, before = self._service.loaded, self._problem
        self._problem = ""
        if loaded.config.engine.python is None:  # a configured one takes long to ask; the first load does that
            try:
                find = partial(locate, None, loaded.engine_prefix, probes=loaded.cache)
                await self._reads.done("engine", find, _PATIENCE)
            except EngineNotInstalled as error:
                self._problem = f"{error.detail}. {error.advice}"
            except TimeoutError:
                self._problem = "the engine's directory can't be read: the file system does not answer"
        if self._problem != before:
            self._notifier.notice("engine", self._problem)
            if self._problem:
                _LOG.warning("%s", self._problem)
            else:
                _LOG.info("the engine is installed now")
        return bool(before) and not self._problem


async def _await_engine(
    engine: _EngineWatch, service: Service, named: Sequence[Model], watcher: Watcher, stop: asyncio.Event
) -> None:
    """Load what should have been loaded at the start, once an engine is installed: no restart is needed."""
    while True:
        await asyncio.sleep(_LOOK_AGAIN)
        if await outcome(engine.look()) is True:
            await outcome(asyncio.to_thread(service.store.refresh))  # it may know other models
            await outcome(
                _preload(_wanted(service.loaded, named, service.store), service.supervisor, watcher, stop),
            )


async def _renewed(engine: _EngineWatch, service: Service, watcher: Watcher, signals: Signals) -> None:
    """What follows a reload."""
    await engine.look()
    await _preload(_wanted(service.loaded, (), service.store), service.supervisor, watcher, signals.any)


async def _reload(
    service: Service, read_again: Callable[[], Awaitable[tuple[Loaded, ModelStore]]], notifier: Notifier
) -> None:
    """Answer SIGHUP. An invalid configuration changes nothing."""
    notifier.reloading()
    sockets = service.sockets
    try:
        said = await service.reload(*await read_again())
    except TimeoutError:
        _LOG.error("not reloaded, all is as before: the configuration could not be read within %d s", _READ_WITHIN)
        notifier.notice("config", "the changed configuration can't be read and is not in use (see the journal)")
    except VllamaError as error:
        problems = error.problems if isinstance(error, ConfigError) else ()
        parts = filter(None, (error.detail, *problems, error.advice))
        _LOG.error("not reloaded, all is as before: %s", "; ".join(parts))
        notifier.notice("config", "the changed configuration is invalid and not in use (see the journal)")
    else:
        _LOG.info("reloaded: %s", "; ".join(said))
        notifier.notice("config", "")
        if service.sockets is not sockets:
            notifier.store(service.sockets)
    finally:
        notifier.ready()


def _wanted(loaded: Loaded, named: Sequence[Model], store: ModelStore) -> dict[str, tuple[Model, float | None]]:
    """Engines to load at once, by key: model and keep_alive. Named ones stay."""
    wanted: dict[str, tuple[Model, float | None]] = {}
    for text in loaded.config.preload:
        name = parse_name(text)
        model = store.find(name) if name is not None else None
        if model is not None:
            wanted[model.engine_key] = (model, None)
        else:
            problem = store.problem(name) if name is not None else None
            _LOG.error("can't preload %s: %s", text, problem or "there is no such model")
    wanted |= {model.engine_key: (model, FOREVER) for model in named}
    return wanted


async def _preload(
    wanted: Mapping[str, tuple[Model, float | None]], supervisor: Supervisor, watcher: Watcher, stop: asyncio.Event
) -> None:
    """Load what the configuration and the command line ask for; ends early when we are stopped."""

    async def one(model: Model, keep_alive: float | None) -> None:
        try:
            async with supervisor.lease(Wish(model, keep_alive)):
                pass
        except VllamaError as error:
            _LOG.error("%s: %s %s", model.name.short, error.detail, error.advice)
            watcher.preloaded(model, error)
        else:
            watcher.preloaded(model, None)

    stopped = asyncio.create_task(stop.wait())
    loads = [asyncio.create_task(outcome(one(model, keep))) for model, keep in wanted.values()]
    pending: set[asyncio.Task[Any]] = {*loads}
    while pending and not stop.is_set():
        _, pending = await asyncio.wait({stopped, *pending}, return_when=asyncio.FIRST_COMPLETED)
        pending.discard(stopped)
    for task in (stopped, *loads):
        task.cancel()
    await asyncio.gather(stopped, *loads, return_exceptions=True)


def _sweep_leftovers(runtime: Path) -> None:
    for pid_file in runtime.glob("*.pid"):
        try:
            ended = sweep(pid_file)
        except OSError as error:
            _LOG.warning("can't look for what an earlier run left behind (%s): %s", pid_file.stem, error)
            continue
        if ended:
            _LOG.warning("stopped %d processes that an earlier run left behind (%s)", ended, pid_file.stem)
