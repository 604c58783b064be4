"""Builds the service from its configuration: everything once, each from what was made before it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from vllama.aside.pool import WorkerPool
from vllama.config.load import Loaded
from vllama.download.transfer import Downloads
from vllama.http.server import HttpServer
from vllama.models.store import ModelStore
from vllama.observe.books import Books
from vllama.observe.energy import Energy
from vllama.observe.feed import Feed
from vllama.observe.history import History
from vllama.observe.lookout import Lookout
from vllama.observe.machine import Looker, Machine
from vllama.observe.machine_watch import MachineWatch
from vllama.observe.metrics import Metrics
from vllama.observe.news import EngineChanged, EngineSeen, Notice
from vllama.observe.nvml import Nvml
from vllama.observe.slos import FILE, Slos
from vllama.observe.upkeep import Upkeep
from vllama.observe.usage.usage import FILE as USAGE
from vllama.observe.usage.usage import Usage
from vllama.observe.watch import Watch
from vllama.service.running import Service
from vllama.service.sockets import Sockets
from vllama.service.stock import registry_of
from vllama.service.supervision import Supervision
from vllama.supervisor.loop import Supervisor
from vllama.supervisor.port import EngineView


def build(loaded: Loaded, store: ModelStore, environ: Mapping[str, str], feed: Feed, sockets: Sockets) -> Service:
    """A service that serves nothing yet; its news go to ``feed``. Call it inside a running event loop."""
    supervision = Supervision(loaded, environ, partial(_publish, feed))
    supervisor = supervision.supervisor
    server = HttpServer(partial(_yielding, supervisor))
    metrics = Metrics(supervisor)
    metrics.watch(server.crowd)
    energy, history, slos = Energy(), History(supervisor), Slos(loaded.state / FILE)
    usage = Usage(loaded.state / USAGE, partial(_tell, asyncio.get_running_loop(), feed))
    usage.follow(loaded.config)
    energy.takers.append(usage.energy)
    books, aside = Books(metrics, history.take, slos.take, usage.take, energy.take), WorkerPool(environ)

    async def note(seen: Machine, engines: Sequence[EngineSeen]) -> None:
        await energy.note(seen.energy, engines, books.requests.live())

    machine = MachineWatch(supervisor, Looker(Nvml()).look, note)
    metrics.add(machine)
    metrics.add(energy)
    metrics.add(books.traces)
    metrics.add(slos)
    metrics.add(usage)
    lookout = Lookout(feed, machine, Watch(supervisor), history, slos, usage, energy)
    downloads = Downloads(loaded.state, environ, registry_of(loaded))
    service = Service(loaded, store, environ, feed, sockets, supervision, books, lookout, server, downloads, aside)
    disks = {"state": loaded.state, "cache": loaded.cache}
    upkeep = Upkeep(disks, lambda: service.keys, lambda: service.loaded.config.server.max_queue)
    metrics.add(upkeep, upkeep.look)
    return service


def _publish(feed: Feed, engine: EngineView) -> None:
    feed.publish(EngineChanged(engine))


def _tell(loop: asyncio.AbstractEventLoop, feed: Feed, text: str) -> None:
    """From the thread that writes the usage."""
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(feed.publish, Notice("usage", text))


def _yielding(supervisor: Supervisor) -> set[str]:
    """Keys of the engines that another model waits for."""
    return {view.model.engine_key for view in supervisor.snapshot() if view.yielding}
