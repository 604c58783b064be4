"""What runs, and the configuration in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from vllama.aside.pool import WorkerPool
from vllama.config.keys import KeyRing, key_files
from vllama.config.load import Loaded
from vllama.download.transfer import Downloads
from vllama.http.app import make_app
from vllama.http.server import HttpServer
from vllama.models.create import Creator
from vllama.models.store import ModelStore
from vllama.observe.books import Books
from vllama.observe.feed import Feed
from vllama.observe.lookout import Lookout
from vllama.service.forecasts import Forecasts
from vllama.service.health import Health
from vllama.service.pulling import make_puller
from vllama.service.sockets import Sockets
from vllama.service.supervision import Supervision
from vllama.supervisor.loop import Supervisor


@dataclass(slots=True)
class Service:
    """Everything is made once. Only a reload changes ``loaded``, ``store`` and ``keys``."""

    loaded: Loaded
    store: ModelStore
    environ: Mapping[str, str]
    feed: Feed
    sockets: Sockets
    supervision: Supervision
    books: Books
    lookout: Lookout
    server: HttpServer
    downloads: Downloads
    aside: WorkerPool
    keys: KeyRing = field(default_factory=lambda: KeyRing(()))

    @property
    def supervisor(self) -> Supervisor:
        """Of all engines."""
        return self.supervision.supervisor

    def app(self, loaded: Loaded, store: ModelStore) -> web.Application:
        """The front end under this configuration; raises ConfigError."""
        files = key_files(loaded.config.server.keys_file, loaded.state, self.environ)
        if files != self.keys.files:  # else keep the ring: it knows the last good keys of a file that is broken now
            self.keys = KeyRing(files)
        puller = make_puller(loaded, store, self.downloads, self.environ, self._sizes)
        return make_app(
            loaded.config,
            self.supervisor,
            store,
            self.books,
            self.lookout,
            puller=puller,
            creator=Creator(store, puller.pull),
            aside=self.aside,
            forecasts=Forecasts(loaded, store, self.environ, self._sizes),
            health=Health(loaded, store),
            keys=self.keys,
        )

    def _sizes(self) -> list[tuple[int, int]]:
        return [(view.size, view.size_vram) for view in self.supervisor.snapshot() if view.pid is not None]
