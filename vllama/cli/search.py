"""``vllama search``: models of the catalogue and of the hub, those that fit this machine first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.offers import bits, listed_offer, room_here
from vllama.cli.progress import progress
from vllama.config.environment import environment
from vllama.config.load import load_config
from vllama.errors import NotFound, PullFailed
from vllama.models.catalog import Catalog, WeightRoom, usable
from vllama.models.catalogs import read_catalog
from vllama.sizes import human_bytes

if TYPE_CHECKING:
    from vllama.download.hub import Found

Fits = Literal["yes", "unknown", "no"]
_ORDER: Final[tuple[Fits, ...]] = ("yes", "unknown", "no")


@dataclass(frozen=True, slots=True)
class Hit:
    """A name that can be pulled."""

    name: str
    source: Literal["catalogue", "hub"]
    repository: str
    parameters: int | None
    bits: str
    """Of a weight; ``-`` if that is unknown."""
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
    """Search the catalogue and the hub for models whose name or repository contains WORD, in any case.

    Those that fit this machine come first. It is judged by the size of its weights. 'vllama plan NAME'
    plans the whole model. As in 'vllama catalog list', REPOSITORY is the most precise one that fits.
    """
    loaded, environ = load_config(file, environ=environment()), environment()
    room = room_here(loaded, environ)
    hits = [*_in_catalog(read_catalog(loaded.config.paths.catalog), word, room)]
    try:
        hits += _on_hub(word, limit, room, quiet=as_json) if limit else ()
    except PullFailed as error:
        output.note(f"Only the catalogue was searched: {error.detail}")
    hits.sort(key=lambda hit: _ORDER.index(hit.fits))
    if as_json:
        output.data({"models": [asdict(hit) for hit in hits]})
    elif hits:
        output.table(["NAME", "PARAMS", "DOWNLOAD", "BITS", "FITS", "REPOSITORY"], [_row(hit) for hit in hits])
    else:
        raise NotFound(f"no model's name or repository contains {word!r}", hint="The catalogue: vllama catalog list")


def _in_catalog(catalog: Catalog, word: str, room: WeightRoom) -> Iterator[Hit]:
    for listing in catalog.all():
        name = listing.name.short.removesuffix(":latest")
        if any(_contains(text, word) for text in (name, *(offer.repository for offer in listing.offers))):
            offer = listed_offer(listing, room)
            parameters = int(listing.billions * 1e9) if listing.billions else None
            fits = _fits(offer.weights, room) if offer in usable(listing, room) else "no"
            yield Hit(name, "catalogue", offer.repository, parameters, bits(offer), offer.weights, fits)


def _contains(text: str, word: str) -> bool:
    """All words of ``word``, if it has blanks, as the hub has it."""
    return all(part in text.casefold() for part in word.casefold().split())


def _on_hub(word: str, limit: int, room: WeightRoom, *, quiet: bool) -> list[Hit]:
    """Raises PullFailed."""
    # slow to import, and only needed here
    from vllama.download.hub import search  # noqa: PLC0415

    with progress(quiet=quiet) as show:
        show.status("asking the hub")
        found = search(word, limit)
        show.status("")
    return [
        Hit(one.repository, "hub", one.repository, one.parameters, _bits(one), one.weights, _fits(one.weights, room))
        for one in found
        if _contains(one.repository, word)  # the hub's search may also find a word that is alike
    ]


def _bits(found: Found) -> str:
    """On average: a few numbers of a quantised model are 16 bits long."""
    return f"{8 * found.weights / found.parameters:.0f}" if found.weights and found.parameters else "-"


def _fits(weights: int | None, room: WeightRoom) -> Fits:
    if weights is None:
        return "unknown"
    return "yes" if weights <= room.bytes else "no"


def _row(hit: Hit) -> list[str]:
    params = fmt.human_count(hit.parameters) if hit.parameters else "-"
    download = human_bytes(hit.download) if hit.download else "-"
    return [fmt.clean(hit.name), params, download, hit.bits, hit.fits, fmt.clean(hit.repository)]
