"""``vllama catalog``: the names that can be pulled, and whether their repositories are there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from vllama.cli import output
from vllama.cli.offers import bits, listed_offer, room_here
from vllama.cli.progress import progress
from vllama.config.environment import environment
from vllama.config.load import Loaded, load_config
from vllama.errors import NotFound, VllamaError
from vllama.models.catalog import Catalog, Listing, Offer
from vllama.models.catalogs import read_catalog
from vllama.sizes import human_bytes


@click.group("catalog")
def command() -> None:
    """List the names that can be pulled, or ask the hub whether their repositories exist."""


def _catalog(loaded: Loaded) -> Catalog:
    return read_catalog(loaded.config.paths.catalog)


_config = click.option("--config", "file", type=click.Path(path_type=Path), help="Configuration file.")


@command.command("list", short_help="List the catalogue's names.")
@click.argument("prefix", default="")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@_config
def list_names(*, prefix: str, as_json: bool, file: Path | None) -> None:
    """List the catalogue's names; with PREFIX only those that begin with it.

    REPOSITORY is the most precise one whose weights fit this machine, BITS its precision, DOWNLOAD the estimated size
    of its weights. A pull compares the whole models, as 'vllama plan NAME' does. Other precisions are in brackets:
    NAME-fp8 means 8 bits, NAME-int4 4 bits.
    """
    loaded, environ = load_config(file, environ=environment()), environment()
    listings, room = _chosen(_catalog(loaded), prefix), room_here(loaded, environ)
    if as_json:
        found = [(listing, listed_offer(listing, room)) for listing in listings]
        output.data([{**asdict(one), "name": one.name.short, "chosen": asdict(offer)} for one, offer in found])
        return
    rows = [_row(listing, listed_offer(listing, room)) for listing in listings]
    output.table(["NAME", "PARAMS", "DOWNLOAD", "BITS", "KIND", "REPOSITORY"], rows)


@command.command("check", short_help="Ask the hub whether every repository exists.")
@click.argument("prefix", default="")
@_config
def check(*, prefix: str, file: Path | None) -> None:
    """Ask the hub for every repository of the catalogue; with PREFIX only for those names.

    Exit status 1 when one is missing. Gated repositories are printed, but count as present.
    """
    # slow to import, and only needed here
    from vllama.download.hub import look  # noqa: PLC0415

    listings = _chosen(_catalog(load_config(file, environ=environment())), prefix)
    offers = {offer.repository: offer for listing in listings for offer in listing.offers}
    missing = 0
    with progress() as show:
        bar = show.bar("repositories", total=len(offers), unit="items")
        for number, (repository, offer) in enumerate(offers.items(), 1):
            found = look(repository)
            if found == "missing":
                missing += 1
                show.say(f"{repository}: there is no such repository, or it is private")
            elif found == "gated" and offer.gated is False:
                show.say(f"{repository}: is gated, but the catalogue does not say so")
            bar.update(number)
        bar.finish()
    if missing:
        raise VllamaError(f"{missing} of {len(offers)} repositories are missing")
    output.line("the repository exists" if len(offers) == 1 else f"all {len(offers)} repositories exist")


def _chosen(catalog: Catalog, prefix: str) -> list[Listing]:
    listings = [listing for listing in catalog.all() if listing.name.short.startswith(prefix.casefold())]
    if not listings:
        raise NotFound(f"no name of the catalogue begins with {prefix!r}")
    return listings


def _row(listing: Listing, offer: Offer) -> list[str]:
    params = f"{listing.billions:g}B" if listing.billions else "-"
    download = human_bytes(offer.weights) if offer.weights else "-"
    others = tuple(other for other in listing.offers if other != offer)
    precision = f"{bits(offer)} ({bits(*others)})" if others else bits(offer)
    return [listing.name.short, params, download, precision, listing.kind, offer.repository]
