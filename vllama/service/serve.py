"""Serves from the first step to the last: starts everything, follows signals, and takes it down in order."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

from vllama import __version__
from vllama.config.directories import make_directories
from vllama.config.load import Loaded
from vllama.config.ownership import Owner, sole_owner
from vllama.engine.cgroup import bound_front_end
from vllama.http.limits import limits_of, raise_descriptor_limit
from vllama.models.model import Model
from vllama.observe.feed import Feed
from vllama.observe.news import Listens, News, Ready, Stopping
from vllama.service.build import build
from vllama.service.engine_watch import EngineWatch
from vllama.service.named import Named
from vllama.service.notify import Notifier
from vllama.service.preload import preload
from vllama.service.reload import Reload
from vllama.service.running import Service
from vllama.service.signals import Signals
from vllama.service.sockets import Sockets
from vllama.service.status import LAST_STEPS, Status
from vllama.service.sweep import sweep_all
from vllama.supervisor.loop import Supervisor
from vllama.supervisor.tasks import Tasks, outcome

_LOG: Final = logging.getLogger("vllama")


async def serve(
    loaded: Loaded, named: Named, environ: Mapping[str, str], *, feed: Feed, read: Callable[[], Loaded]
) -> None:
    """Serve until SIGTERM or SIGINT. ``read`` reads the configuration for a reload; raises ConfigError.

    Raises CannotListen, AlreadyRunning, ConfigError, NotFound, ModelUnusable before anything is served.
    """
    models = named.models()
    make_directories(loaded.directories)
    bound_front_end()
    raise_descriptor_limit()
    with sole_owner(loaded.runtime) as runtime, sole_owner(loaded.state) as state:
        await asyncio.to_thread(sweep_all, loaded, named.store)
        notifier = Notifier(environ)
        sockets = Sockets(loaded.config.server, notifier, environ)
        service = build(loaded, named.store, environ, feed, sockets)
        status = Status(notifier, feed, loaded.config.engine.stall_timeout)
        signals = Signals(supervised=notifier.supervised)
        reload = Reload(service, read, named)
        background = Tasks()
        background.start(_beat(notifier, service.supervisor), _logged)
        background.start(service.lookout.history.keep(), _logged)
        background.start(_hurry(signals, service.supervisor), _logged)
        background.start(service.lookout.machine.watch(), _logged)
        await asyncio.to_thread(service.lookout.slos.open)
        await service.books.traces.follow(loaded.config.observe.otlp)
        service.lookout.slos.follow(loaded.config.slos)
        background.start(service.lookout.slos.keep(), _logged)
        service.lookout.usage.start()
        takers = (status.take, service.books.metrics.take, service.lookout.failures.take)
        with feed.subscribed(*takers, partial(_note_port, (runtime, state))):
            try:
                await _listen(service)
                await _run(service, models, signals, background, reload)
            finally:
                feed.publish(Stopping(service.loaded.config.engine.drain_timeout + LAST_STEPS))
                await _take_down(service, signals)
                await background.close(0)
                _LOG.info("stopped")
                notifier.close()


async def _listen(service: Service) -> None:
    """Take requests from now on: those for a model wait until it is loaded."""
    app = service.app(service.loaded, service.store)
    await service.server.serve(app, service.sockets.all, limits_of(service.loaded.config.server))
    host, port = service.sockets.address
    _LOG.info("vLLama %s listens on %s:%d", __version__, host, port)
    service.feed.publish(Listens(host, port))


async def _run(service: Service, models: Sequence[Model], signals: Signals, background: Tasks, reload: Reload) -> None:
    """Load what is to be loaded at once, and reload the configuration when asked, until it is time to stop."""
    engine = EngineWatch(service)
    await engine.look()
    await preload(service, models, signals.stop)
    background.start(engine.preload_later(models, signals.stop), _logged)
    service.feed.publish(Ready())
    # these objects live as long as the service: a collection that visits them would hold up streams
    gc.freeze()
    while await signals.reload_wanted():
        await outcome(reload.answer())
        await outcome(engine.look())
        await outcome(preload(service, (), signals.any))
    drain = service.loaded.config.engine.drain_timeout
    _LOG.info("stopping: running answers may continue for up to %.0f s", drain)


async def _take_down(service: Service, signals: Signals) -> None:
    """In order: no new connections, no downloads, no engines, no old connections. What fails does not keep the rest."""
    await outcome(service.server.pause())
    await outcome(signals.unless_hurried(service.downloads.close()))
    await outcome(service.supervisor.close())
    await outcome(service.aside.close())
    await outcome(signals.unless_hurried(service.server.close()))
    await outcome(signals.unless_hurried(service.lookout.slos.save()))
    await outcome(signals.unless_hurried(service.books.traces.close()))
    await outcome(asyncio.to_thread(service.lookout.usage.close))


async def _beat(notifier: Notifier, supervisor: Supervisor) -> None:
    """The watchdog's beat: it comes only while the event loop turns and the supervisor handles events."""
    while notifier.beat_every is not None:
        supervisor.turn()
        notifier.beat()
        await asyncio.sleep(notifier.beat_every)


async def _hurry(signals: Signals, supervisor: Supervisor) -> None:
    """A second Ctrl-C: stop without waiting for answers."""
    await signals.hurry.wait()
    _LOG.warning("stopping at once: running answers are cut off")
    supervisor.hurry()


def _note_port(owners: Collection[Owner], news: News) -> None:
    """Let others find the service by its directories."""
    if isinstance(news, Listens):
        for owner in owners:
            owner.listens_on(news.port)


def _logged(_: Exception) -> None:
    """The error is in the log already; the service goes on."""
