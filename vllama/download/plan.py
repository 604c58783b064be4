"""Makes what pulls models: the catalogue as configured, and the choice among a name's repositories by the plan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama.config.load import Loaded
from vllama.config.schema import Config
from vllama.download.process import facts_ahead
from vllama.download.puller import Puller
from vllama.download.transfer import Downloads
from vllama.errors import EngineNotInstalled, ModelUnusable, PullFailed
from vllama.fit.gpu import detect
from vllama.fit.hardware import Hardware
from vllama.fit.plan import USUAL_CONTEXT, Plan, plan
from vllama.fit.room import room_for_weights
from vllama.fit.settings import wanted_settings
from vllama.install.engines import locate
from vllama.models.catalog import Listing, Offer, choose, usable
from vllama.models.catalogs import read_catalog
from vllama.models.model import Facts, Model
from vllama.models.names import ModelName
from vllama.models.sources import Source
from vllama.models.store import ModelStore, registry_of

_LOG = logging.getLogger("vllama.models")
_ANOTHER_MAY_DO: Final = frozenset({"pull_unknown", "pull_gated"})
"""What is wrong with one repository only; other failures are the hub's or the network's."""

Ahead = Callable[[Source], Awaitable[Facts]]
"""Asks the hub what a repository is."""
Engines = Callable[[], Iterable[tuple[int, int]]]
"""Each loaded engine: all its bytes, and those of GPUs."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which repository is fetched for a name."""

    offer: Offer
    facts: Facts | None = None
    """What the hub reported of it, if it was asked."""


def make_puller(
    loaded: Loaded,
    store: ModelStore,
    downloads: Downloads,
    environ: Mapping[str, str],
    engines: Engines = tuple,
) -> Puller:
    """Raises ConfigError when the catalogue's files are wrong. ``engines``: those that could be unloaded."""

    async def chosen(listing: Listing) -> Offer | None:
        sizes = tuple(engines())
        machine = (await asyncio.to_thread(_machine, loaded)).holding(sizes, loaded.config.engine.max_ram)
        found = await choose_by_plan(listing, loaded.config, machine, environ, asking(loaded, environ))
        return found.offer if found is not None else None

    return Puller(store, read_catalog(loaded.config.paths.catalog), downloads, chosen)


def asking(loaded: Loaded, environ: Mapping[str, str]) -> Ahead:
    """Asks the hub as this service does. ``environ`` holds the hub's own settings."""

    async def ask(source: Source) -> Facts:
        return await facts_ahead(source, environ, registry_of(loaded)())

    return ask


async def choose_by_plan(
    listing: Listing, config: Config, machine: Hardware, environ: Mapping[str, str], ahead: Ahead
) -> Choice | None:
    """The most precise repository that the plan gives a usual context; else the one with the longest context.

    Without a choice, or if the hub can't be asked, it uses the catalogue's sizes. None when there is nothing
    that this machine computes with. ``environ`` holds the hub's own settings.
    """
    room = room_for_weights(machine, token=bool(environ.get("HF_TOKEN")))
    offers = usable(listing, room)
    best, longest = None, 0
    for offer in offers if len(offers) > 1 else ():
        try:
            facts = await ahead(Source("hub", offer.repository))
        except (PullFailed, ModelUnusable) as error:
            _LOG.info("%s is not considered: %s", offer.repository, error.detail)
            if isinstance(error, ModelUnusable) or error.error_code in _ANOTHER_MAY_DO:
                continue
            break
        context, enough = _contexts(listing.name, facts, config, machine)
        if context >= enough:
            return Choice(offer, facts)
        if context > longest:
            best, longest = Choice(offer, facts), context
    rough = choose(listing, room)
    return best or (Choice(rough) if rough is not None else None)


def _machine(loaded: Loaded) -> Hardware:
    """As the installed engine sees it."""
    try:
        return detect().for_backend(
            locate(loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache).backend
        )
    except EngineNotInstalled:
        return detect()


def as_planned(name: ModelName, facts: Facts) -> Model:
    """A model that is not installed yet, as far as the plan needs to know it."""
    return Model(name, Path(name.model), facts, "", facts.weight_bytes, 0.0)


def _contexts(name: ModelName, facts: Facts, config: Config, machine: Hardware) -> tuple[int, int]:
    """Tokens that it would be started with if it had the machine for itself, 0 when it does not fit; and a usual
    context, or what is asked for where that is less."""
    wanted = wanted_settings(as_planned(name, facts), config, machine)
    answer = plan(facts, wanted, machine.emptied())
    asked = wanted.values["max_model_len"]
    enough = min(facts.context_length if asked == "auto" else asked, USUAL_CONTEXT)
    return answer.settings.context if isinstance(answer, Plan) else 0, enough
