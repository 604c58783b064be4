"""Which of a name's repositories is fetched: the plan for this machine decides, by what the hub says of each."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama.config.schema import Config
from vllama.download.messages import FACTS
from vllama.download.process import run_child
from vllama.errors import ModelUnusable, PullFailed
from vllama.fit.hardware import Hardware
from vllama.fit.plan import USUAL_CONTEXT, Plan, plan
from vllama.fit.room import room_for_weights
from vllama.fit.settings import wanted_settings
from vllama.install.registry import Registry
from vllama.models.catalog import Listing, Offer, choose, usable
from vllama.models.model import Facts, Model
from vllama.models.names import ModelName
from vllama.models.sources import Source

_LOG = logging.getLogger("vllama.download")
_ANOTHER_MAY_DO: Final = frozenset({"pull_unknown", "pull_gated"})
"""What is wrong with one repository only; other failures are the hub's or the network's."""

Ahead = Callable[[Source], Awaitable[Facts]]
"""Asks the hub what a repository is."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which repository is fetched for a name."""

    offer: Offer
    facts: Facts | None = None
    """What the hub reported of it, if it was asked."""


async def facts_ahead(source: Source, environ: Mapping[str, str], registry: Registry) -> Facts:
    """The facts of a hub repository. Raises PullFailed, and ModelUnusable for what could not be served.

    ``registry``: what the engine knows about models. ``environ`` holds the hub's own settings.
    """
    return FACTS.validate_python(await run_child("describe", source, registry, environ))


async def choose_by_plan(
    listing: Listing, config: Config, machine: Hardware, environ: Mapping[str, str], ahead: Ahead
) -> Chosen | None:
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
            return Chosen(offer, facts)
        if context > longest:
            best, longest = Chosen(offer, facts), context
    rough = choose(listing, room)
    return best or (Chosen(rough) if rough is not None else None)


def as_planned(name: ModelName, facts: Facts, repository: str = "") -> Model:
    """A model that is not installed yet, as far as the plan needs to know it. ``repository``: where it is."""
    return Model(name, Path(repository or name.model), facts, "", facts.weight_bytes, 0.0)


def _contexts(name: ModelName, facts: Facts, config: Config, machine: Hardware) -> tuple[int, int]:
    """Tokens that it would be started with if it had the machine for itself, 0 when it does not fit; and a usual
    context, or what is asked for where that is less."""
    wanted = wanted_settings(as_planned(name, facts), config, machine)
    answer = plan(facts, wanted, machine.emptied())
    asked = wanted.values["max_model_len"]
    enough = min(facts.context_length if asked == "auto" else asked, USUAL_CONTEXT)
    return answer.settings.context if isinstance(answer, Plan) else 0, enough
