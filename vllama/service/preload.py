"""Loads models without a request: those of the configuration, and those named on the command line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

from vllama.errors import VllamaError
from vllama.models.catalogs import read_catalog
from vllama.models.model import Model
from vllama.models.names import parse_name
from vllama.observe.news import Preloaded
from vllama.service.absent import absent_models
from vllama.service.running import Service
from vllama.supervisor.port import FOREVER, Wish
from vllama.supervisor.tasks import outcome

_LOG: Final = logging.getLogger("vllama")


async def preload(service: Service, named: Sequence[Model], stop: asyncio.Event) -> None:
    """Load what is configured, and the ``named`` models for good. Ends early when ``stop`` is set."""
    await _report_absent(service)
    wishes = _wishes(service, named)
    stopped = asyncio.create_task(stop.wait())
    loads = [asyncio.create_task(outcome(_load(service, wish))) for wish in wishes]
    pending: set[asyncio.Task[Any]] = {*loads}
    while pending and not stop.is_set():
        _, pending = await asyncio.wait({stopped, *pending}, return_when=asyncio.FIRST_COMPLETED)
        pending.discard(stopped)
    for task in (stopped, *loads):
        task.cancel()
    await asyncio.gather(stopped, *loads, return_exceptions=True)


def _wishes(service: Service, named: Sequence[Model]) -> Iterable[Wish]:
    """One for each engine: one that is configured as well as named stays loaded."""
    wishes: dict[str, Wish] = {}
    for text in service.loaded.config.preload:
        name = parse_name(text)
        model = service.store.find(name) if name is not None else None
        if model is not None:
            wishes[model.engine_key] = Wish(model)
    wishes |= {model.engine_key: Wish(model, FOREVER) for model in named}
    return wishes.values()


async def _report_absent(service: Service) -> None:
    """A start never downloads: it must not depend on the hub, and gigabytes are for a person to ask for."""
    names = filter(None, map(parse_name, service.loaded.config.preload))
    if all(service.store.find(name) is not None for name in names):
        return
    catalog = await asyncio.to_thread(read_catalog, service.loaded.config.paths.catalog)
    for one in absent_models(service.loaded, service.store, catalog):
        _LOG.warning("%s: %s", ".".join(one.key), one)


async def _load(service: Service, wish: Wish) -> None:
    model = wish.model
    try:
        async with service.supervisor.lease(wish):
            pass
    except VllamaError as error:
        _LOG.error("%s: %s %s", model.name.short, error.detail, error.advice)
        service.feed.publish(Preloaded(model, error))
    else:
        service.feed.publish(Preloaded(model, None))
