"""The composition root: builds everything once from the configuration, runs it, and takes it down in order."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from vllama import __version__
from vllama.config.directories import make_directories
from vllama.config.load import Loaded
from vllama.engine.process import sweep
from vllama.errors import AlreadyRunning, VllamaError
from vllama.http.app import make_app, make_runner
from vllama.http.listener import bind
from vllama.models.model import Model
from vllama.models.names import parse_name
from vllama.models.store import ModelStore
from vllama.observe.metrics import Metrics
from vllama.supervisor.loop import Supervisor
from vllama.supervisor.notify import Notifier
from vllama.supervisor.planner import Planner
from vllama.supervisor.policy import Policy
from vllama.supervisor.port import FOREVER, EngineView
from vllama.supervisor.probes import Patience

_LOG = logging.getLogger("vllama")


class Watcher(Protocol):
    """Who is told how the service comes up (a terminal; under systemd nobody)."""

    def listening(self, host: str, port: int) -> None:
        """The port is bound."""

    def changed(self, engine: EngineView) -> None:
        """An engine's phase or stage changed."""

    def preloaded(self, model: Model, error: VllamaError | None) -> None:
        """A preloaded model is ready, or failed with a reason."""


async def serve(
    loaded: Loaded, named: Sequence[Model], store: ModelStore, environ: Mapping[str, str], watcher: Watcher
) -> None:
    """Serve until SIGTERM or SIGINT. ``named``: models to load at once and keep.

    Raises CannotListen, AlreadyRunning, ConfigError before anything is served.
    """
    config = loaded.config
    make_directories(loaded.directories)
    with _sole_owner(loaded.runtime):
        await asyncio.to_thread(_sweep_leftovers, loaded.runtime)
        sockets = bind(config.server.host, config.server.port)
        notifier = Notifier()

        def changed(view: EngineView) -> None:
            notifier.status(supervisor.snapshot())
            metrics.engine_changed(view)
            watcher.changed(view)

        supervisor = Supervisor(Planner(loaded, environ), _policy(loaded), _patience(loaded), changed)
        metrics = Metrics(supervisor)
        app = make_app(config, supervisor, store, metrics)
        runner = make_runner(app)
        await runner.setup()
        stop = _stop_signal()
        try:
            for listener in sockets:
                await web.SockSite(runner, listener).start()
            host, port = sockets[0].getsockname()[:2]
            _LOG.info("vLLama %s listens on %s:%d", __version__, host, port)
            watcher.listening(host, port)
            await _preload(_wanted(loaded, named, store), supervisor, watcher, stop)
            notifier.ready()
            notifier.status(supervisor.snapshot())
            await stop.wait()
            _LOG.info("stopping: running answers may go on for up to %.0f s", config.engine.drain_timeout)
        finally:
            notifier.stopping()
            for site in tuple(runner.sites):
                await site.stop()
            await supervisor.close()
            await runner.cleanup()
            _LOG.info("stopped")


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
            async with supervisor.lease(model, keep_alive=keep_alive):
                pass
        except VllamaError as error:
            _LOG.error("%s: %s %s", model.name.short, error.message, error.hint)
            watcher.preloaded(model, error)
        else:
            watcher.preloaded(model, None)

    stopped = asyncio.create_task(stop.wait())
    loads = [asyncio.create_task(one(model, keep)) for model, keep in wanted.values()]
    pending: set[asyncio.Task[Any]] = {*loads}
    while pending and not stop.is_set():
        _, pending = await asyncio.wait({stopped, *pending}, return_when=asyncio.FIRST_COMPLETED)
        pending.discard(stopped)
    for task in (stopped, *loads):
        task.cancel()
    await asyncio.gather(stopped, *loads, return_exceptions=True)


def _policy(loaded: Loaded) -> Policy:
    config = loaded.config
    return Policy(
        keep_alive=config.keep_alive,
        max_waiting=config.server.max_queue,
        backoff=config.engine.restart_backoff,
        backoff_max=config.engine.restart_backoff_max,
        breaker_crashes=config.engine.breaker_crashes,
        breaker_window=config.engine.breaker_window,
        breaker_cooloff=config.engine.breaker_cooloff,
        drain=config.engine.drain_timeout,
    )


def _patience(loaded: Loaded) -> Patience:
    engine = loaded.config.engine
    return Patience(stall=engine.stall_timeout, hang=engine.hang_timeout, interval=engine.probe_interval)


def _stop_signal() -> asyncio.Event:
    """Set by SIGTERM, SIGINT or SIGHUP; a second SIGINT ends us at once, as a person expects."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        if stop.is_set() and number is signal.SIGINT:
            loop.remove_signal_handler(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, asked, number)
    return stop


@contextmanager
def _sole_owner(runtime: Path) -> Iterator[None]:
    """Two daemons in one runtime directory would take each other's sockets."""
    path = runtime / "vllama.lock"
    with path.open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            message = f"another vllama (pid {owner}) is already running with {runtime}"
            raise AlreadyRunning(message, hint="stop it, or give this one its own directories") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _sweep_leftovers(runtime: Path) -> None:
    for pid_file in runtime.glob("*.pid"):
        if ended := sweep(pid_file):
            _LOG.warning("ended %d processes that an earlier run left behind (%s)", ended, pid_file.stem)
