"""Answers whether a model would fit on this machine, also before it is pulled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from vllama.config.load import Loaded
from vllama.disk import Reads
from vllama.download.plan import as_planned, choose_by_plan
from vllama.errors import EngineNotInstalled, NotFound, PullFailed
from vllama.fit.forecast import Forecast, forecast
from vllama.fit.gpu import detect
from vllama.fit.hardware import Hardware
from vllama.fit.measurements import Measurements, plan_as_measured
from vllama.fit.settings import wanted_settings
from vllama.install.engines import locate
from vllama.models.catalogs import read_catalog
from vllama.models.model import Model
from vllama.models.names import ModelName, parse_name
from vllama.models.sources import Source, repository_of
from vllama.models.store import ModelStore
from vllama.service.pulling import LoadedSizes, asking

_PATIENCE: Final = 60.0
"""Seconds for the machine to be looked at, and for the hub to answer."""
_AT_ONCE: Final = 2
"""Models that are not here and that are asked about at the same time: each asks the hub in a process of its own."""


class Forecasts:
    """Under one configuration."""

    def __init__(self, loaded: Loaded, store: ModelStore, environ: Mapping[str, str], engines: LoadedSizes) -> None:
        """``engines``: those that could be unloaded. Raises ConfigError when the catalogue's files are wrong."""
        self._loaded = loaded
        self._store = store
        self._environ = environ
        self._engines = engines
        self._catalog = read_catalog(loaded.config.paths.catalog)
        self._measurements = Measurements(loaded.state)
        self._reads = Reads()
        self._asking = asyncio.Semaphore(_AT_ONCE)

    async def of(self, name: ModelName) -> Forecast:
        """Raises NotFound, PullFailed when the hub must be asked and can't be, ModelUnusable for broken files."""
        sizes = tuple(self._engines())
        try:
            hardware, version = await self._reads.done("machine", self._look, _PATIENCE)
            model = await self._reads.done(name.key, lambda: self._store.find(name), _PATIENCE)
        except TimeoutError:
            raise PullFailed("this server's disk does not answer; try again later") from None
        hardware = hardware.holding(sizes, self._loaded.config.engine.max_ram)
        download = None
        if model is None:
            try:
                async with asyncio.timeout(_PATIENCE), self._asking:
                    model = await self._ahead(name, hardware)
            except TimeoutError:
                raise PullFailed("the hub did not answer in time") from None
            download = model.size
        return await asyncio.to_thread(self._plan, model, hardware, version, download)

    def _look(self) -> tuple[Hardware, str]:
        """This machine as the installed engine sees it, and the engine's version; empty without one."""
        try:
            engine = locate(self._loaded.config.engine.python, self._loaded.engine_prefix, probes=self._loaded.cache)
        except EngineNotInstalled:
            return detect(), ""
        return detect().for_backend(engine.backend), engine.version

    async def _ahead(self, name: ModelName, hardware: Hardware) -> Model:
        """A model that is not here yet, as the hub describes the repository that a pull would take."""
        source = self._store.source(name)
        meant = (parse_name(source.location) if source is not None and source.kind == "model" else None) or name
        ask = asking(self._loaded, self._environ)
        listing = self._catalog.find(meant)
        if listing is not None and (source is None or source.kind == "model"):
            planned = replace(listing, name=name)
            choice = await choose_by_plan(planned, self._loaded.config, hardware, self._environ, ask)
            if choice is None:
                raise NotFound(f"{name.short} exists in no precision that this machine can use")
            if choice.facts is not None:
                return as_planned(name, choice.facts, choice.offer.repository)
            source = Source("hub", choice.offer.repository)
        elif source is None:
            source = repository_of(meant)
        if source is None or source.kind != "hub":
            near = self._catalog.near(meant)
            hint = f"Did you mean {near}?" if near else "Give a model, a name of the catalogue or org/name."
            raise self._store.problem(name) or NotFound(f"model {name.short!r} not found", hint=hint)
        return as_planned(name, await ask(source), source.location)

    def _plan(self, model: Model, hardware: Hardware, version: str, download: int | None) -> Forecast:
        wanted = wanted_settings(model, self._loaded.config, hardware)
        answer, _ = plan_as_measured(self._measurements, model, wanted, hardware, version=version)
        return forecast(model, answer, download)
