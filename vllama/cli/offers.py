"""Which repository of a catalogue name is listed: the one that a pull would choose for this machine, by size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vllama.config.load import Loaded
from vllama.fit.room import room_for_weights
from vllama.models.catalog import Listing, Offer, WeightRoom, choose
from vllama.service.pulling import machine

_BITS: Final = {"bf16": "16", "fp8": "8", "int4": "4"}


def room_here(loaded: Loaded, environ: Mapping[str, str]) -> WeightRoom:
    """What this machine has for weights when nothing is loaded."""
    return room_for_weights(machine(loaded).emptied(), token=bool(environ.get("HF_TOKEN")))


def listed_offer(listing: Listing, room: WeightRoom) -> Offer:
    """That one; the most precise one where this machine can compute none of them."""
    return choose(listing, room) or listing.offers[0]


def bits(*offers: Offer) -> str:
    """Bits of a weight, for people: ``16``, ``8 4``."""
    return " ".join(_BITS[offer.precision] for offer in offers)
