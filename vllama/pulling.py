"""Makes what pulls models: the catalogue as configured, and a look at the machine to choose a precision by."""

from __future__ import annotations

from collections.abc import Mapping

from vllama.config.load import Loaded
from vllama.fit.gpu import detect
from vllama.fit.room import room_for_weights
from vllama.models.catalog import Room
from vllama.models.catalogs import read_catalog
from vllama.models.downloads import Downloads
from vllama.models.pull import Puller
from vllama.models.store import ModelStore


def make_puller(loaded: Loaded, store: ModelStore, downloads: Downloads, environ: Mapping[str, str]) -> Puller:
    """Raises ConfigError when the catalogue's files are wrong."""

    def room() -> Room:
        return room_for_weights(detect(), token=bool(environ.get("HF_TOKEN")))

    return Puller(store, read_catalog(loaded.config.paths.catalog), downloads, room)
