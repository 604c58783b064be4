"""Makes what pulls models, from the configuration: the catalogue, and the choice by what this machine can do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from vllama.config.load import Loaded
from vllama.download.plan import Ahead, choose_by_plan, facts_ahead
from vllama.download.puller import Puller
from vllama.download.transfer import Downloads
from vllama.errors import EngineNotInstalled
from vllama.fit.gpu import detect
from vllama.fit.hardware import Hardware
from vllama.install.engines import locate
from vllama.models.catalog import Listing, Offer
from vllama.models.catalogs import read_catalog
from vllama.models.model import Facts
from vllama.models.sources import Source
from vllama.models.store import ModelStore
from vllama.service.stock import registry_of

LoadedSizes = Callable[[], Iterable[tuple[int, int]]]
"""Each loaded engine: all its bytes, and those of GPUs."""


def make_puller(
    loaded: Loaded,
    store: ModelStore,
    downloads: Downloads,
    environ: Mapping[str, str],
    engines: LoadedSizes = tuple,
) -> Puller:
    """Raises ConfigError when the catalogue's files are wrong. ``engines``: those that could be unloaded."""

    async def chosen(listing: Listing) -> Offer | None:
        sizes = tuple(engines())
        here = (await asyncio.to_thread(machine, loaded)).holding(sizes, loaded.config.engine.max_ram)
        found = await choose_by_plan(listing, loaded.config, here, environ, asking(loaded, environ))
        return found.offer if found is not None else None

    return Puller(store, read_catalog(loaded.config.paths.catalog), downloads, chosen)


def asking(loaded: Loaded, environ: Mapping[str, str]) -> Ahead:
    """Asks the hub as this service does. ``environ`` holds the hub's own settings."""

    async def ask(source: Source) -> Facts:
        return await facts_ahead(source, environ, registry_of(loaded)())

    return ask


def machine(loaded: Loaded) -> Hardware:
    """As the installed engine sees it."""
    try:
        return detect().for_backend(
            locate(loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache).backend
        )
    except EngineNotInstalled:
        return detect()
