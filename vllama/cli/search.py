"""``vllama search``: models of the catalogue and of the hub, those that fit this machine first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import click

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.progress import progress
from vllama.config.environment import environment
from vllama.config.load import load_config
from vllama.errors import NotFound, PullFailed
from vllama.fit.room import room_for_weights
from vllama.models.catalog import Catalog, Listing, WeightRoom, choose
from vllama.models.catalogs import read_catalog
from vllama.service.pulling import machine

Fits = Literal["yes", "unknown", "no"]
_ORDER: Final[tuple[Fits, ...]] = ("yes", "unknown", "no")


@dataclass(frozen=True, slots=True)
class Hit:
    """A name that can be pulled."""

    name: str
    source: Literal["catalogue", "hub"]
    repository: str
    parameters: int | None
    download: int | None
    """Bytes of the weights."""
    fits: Fits
    """Whether the weights fit into the room that the plan gives them on this machine."""


@click.command("search")
@click.argument("word")
@click.option("--limit", type=click.IntRange(0, 100), default=20, show_default=True, help="Most results from the hub.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON; sizes in bytes.")
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file.")
def command(*, word: str, limit: int, as_json: bool, file: Path | None) -> None:
    """Search the catalogue and the hub for models whose name contains WORD. Those that fit this machine come first.

    Whether a model fits is judged by the size of its weights. 'vllama plan NAME' plans the whole model.
    """
    loaded, environ = load_config(file, environ=environment()), environment()
    room = room_for_weights(machine(loaded).emptied(), token=bool(environ.get("HF_TOKEN")))
    hits = [*_in_catalog(read_catalog(loaded.config.paths.catalog), word, room)]
    try:
        hits += _on_hub(word, limit, room, quiet=as_json) if limit else ()
    except PullFailed as error:
        output.note(f"Only the catalogue was searched: {error.detail}")
    hits.sort(key=lambda hit: _ORDER.index(hit.fits))
    if as_json:
        output.data({"models": [asdict(hit) for hit in hits]})
    elif hits:
        output.table(["NAME", "PARAMS", "DOWNLOAD", "FITS", "SOURCE"], [_row(hit) for hit in hits])
    else:
        raise NotFound(f"no model's name contains {word!r}", hint="The catalogue: vllama catalog list")


def _in_catalog(catalog: Catalog, word: str, room: WeightRoom) -> Iterator[Hit]:
    for listing in catalog.all():
        if _matches(listing, word.casefold()):
            offer = choose(listing, room)
            weights = offer.weights if offer is not None else None
            parameters = int(listing.billions * 1e9) if listing.billions else None
            repository = offer.repository if offer is not None else listing.offers[0].repository
            fits = "no" if offer is None else _fits(weights, room)
            yield Hit(listing.name.short.removesuffix(":latest"), "catalogue", repository, parameters, weights, fits)


def _matches(listing: Listing, word: str) -> bool:
    return word in listing.name.short or any(word in offer.repository.casefold() for offer in listing.offers)


def _on_hub(word: str, limit: int, room: WeightRoom, *, quiet: bool) -> list[Hit]:
    """Raises PullFailed."""
    # slow to import, and only needed here
    from vllama.download.hub import search  # noqa: PLC0415

    with progress(quiet=quiet) as show:
        show.status("asking the hub")
        found = search(word, limit)
        show.status("")
    return [
        Hit(one.repository, "hub", one.repository, one.parameters, one.weights, _fits(one.weights, room))
        for one in found
    ]


def _fits(weights: int | None, room: WeightRoom) -> Fits:
    if weights is None:
        return "unknown"
    return "yes" if weights <= room.bytes else "no"


def _row(hit: Hit) -> list[str]:
    params = fmt.human_count(hit.parameters) if hit.parameters else "-"
    download = fmt.human_bytes(hit.download) if hit.download else "-"
    return [fmt.clean(hit.name), params, download, hit.fits, hit.source]
