"""``vllama catalog``: the names that can be pulled, and whether their repositories are there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.progress import progress
from vllama.config.environment import environment
from vllama.config.load import load_config
from vllama.errors import NotFound, VllamaError
from vllama.models.catalog import Catalog, Listing
from vllama.models.catalogs import read_catalog

_BITS = {"bf16": "16", "fp8": "8", "int4": "4"}


@click.group("catalog")
def command() -> None:
    """List the names that can be pulled, or ask the hub whether their repositories exist."""


def _catalog(file: Path | None) -> Catalog:
    return read_catalog(load_config(file, environ=environment()).config.paths.catalog)


_config = click.option("--config", "file", type=click.Path(path_type=Path), help="Configuration file.")


@command.command("list", short_help="List the catalogue's names.")
@click.argument("prefix", default="")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@_config
def list_names(*, prefix: str, as_json: bool, file: Path | None) -> None:
    """List the catalogue's names; with PREFIX only those that begin with it.

    DOWNLOAD is the estimated size of the weights in REPOSITORY, the most precise one. BITS are the precisions for which
    there is a repository.
    """
    listings = _chosen(_catalog(file), prefix)
    if as_json:
        output.data([{**asdict(listing), "name": listing.name.short} for listing in listings])
        return
    output.table(["NAME", "PARAMS", "DOWNLOAD", "BITS", "KIND", "REPOSITORY"], [_row(listing) for listing in listings])


@command.command("check", short_help="Ask the hub whether every repository exists.")
@click.argument("prefix", default="")
@_config
def check(*, prefix: str, file: Path | None) -> None:
    """Ask the hub for every repository of the catalogue; with PREFIX only for those names.

    Exit status 1 when one is missing. Gated repositories are printed, but count as present.
    """
    # slow to import, and only needed here
    from vllama.download.hub import look  # noqa: PLC0415

    listings = _chosen(_catalog(file), prefix)
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


def _row(listing: Listing) -> list[str]:
    params = f"{listing.billions:g}B" if listing.billions else "-"
    first = listing.offers[0]
    download = fmt.human_bytes(first.weights) if first.weights else "-"
    bits = " ".join(_BITS[offer.precision] for offer in listing.offers)
    return [listing.name.short, params, download, bits, listing.kind, first.repository]
