"""Options and words that several verbs of ``vllama bench`` share."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from vllama import files
from vllama.bench.chart import picture
from vllama.bench.legs import LegProgress
from vllama.bench.page import page
from vllama.bench.png import png
from vllama.bench.prompts import LENGTHS
from vllama.bench.record import Record
from vllama.bench.svg import svg
from vllama.bench.targets import TargetPlace, read_place
from vllama.bench.workload import Dialect
from vllama.cli.progress import Show
from vllama.cli.remote import service_address
from vllama.errors import BadRequest, StoreFailed

FILE: Final = click.Path(path_type=Path, dir_okay=False)
_DRAWN: Final = (".png", ".svg")


def numbers(_: click.Context, __: click.Parameter, value: str) -> tuple[int, ...]:
    """``1,5,10,50``, in order."""
    words = value.split(",")
    if not all(word.strip().isdecimal() and word.strip().isascii() and int(word) > 0 for word in words):
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 1,5,10,50")
    return tuple(sorted({int(word) for word in words}))


def lengths(_: click.Context, __: click.Parameter, value: str) -> tuple[int, ...]:
    """The name of a kind of prompts, or tokens."""
    if value in LENGTHS:
        return LENGTHS[value]
    words = value.split(",")
    if not all(word.strip().isdecimal() and word.strip().isascii() and int(word) > 0 for word in words):
        raise click.BadParameter(f"{value!r} is neither one of {', '.join(LENGTHS)} nor a number of tokens")
    return tuple(int(word) for word in words)


def plot_file(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """A file that is named as one of the kinds that we draw."""
    if value is not None and value.suffix.lower() not in _DRAWN:
        raise click.BadParameter(f"{value} must end in .svg or .png")
    return value


def own_place(host: str, model: str | None, dialect: Dialect | None, name: str | None) -> TargetPlace:
    """The service that ``--host`` or the environment names; ``unix:/PATH`` is possible, too."""
    address = host if host.startswith("unix:") else service_address(host).reachable.url
    return TargetPlace(name or "vllama", address, dialect, model or "")


def others(vs: tuple[str, ...], models: tuple[str, ...], model: str | None) -> list[TargetPlace]:
    """The targets of ``--vs``, each with its model of ``--vs-model``, else ours. Raises BadRequest."""
    places = [read_place(text) for text in vs]
    known = {place.name for place in places}
    named = {}
    for text in models:
        name, _, theirs = text.partition("=")
        if name not in known or not theirs:
            raise BadRequest(f"--vs-model {text}: {name!r} is not a target", hint="Write --vs NAME=ADDRESS as well")
        named[name] = theirs
    return [replace(place, model=named.get(place.name, model or "")) for place in places]


def distinct(places: list[TargetPlace]) -> list[TargetPlace]:
    """Raises BadRequest where two have one name."""
    names = [place.name for place in places]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise BadRequest(f"two targets are named {doubled!r}", hint="Give each a name of its own: --vs NAME=ADDRESS")
    return places


def watching(show: Show) -> LegProgress:
    """A bar over the legs, and above it what each target says of itself."""
    bar = show.bar("measuring", unit="items")

    def step(what: str, done: int, total: int) -> None:
        show.status(what)
        bar.update(done, total=total)

    return LegProgress(show.say, step)


def write_pictures(record: Record, plot: Path | None, html: Path | None) -> None:
    """Draw into the files that were named. Raises NotFound where PNG can't be drawn, StoreFailed."""
    if plot is not None:
        drawn = picture(record.rows)
        write(plot, png(drawn) if plot.suffix.lower() == ".png" else svg(drawn).encode())
    if html is not None:
        write(html, page(record).encode())


def write(place: Path, data: bytes) -> None:
    """Raises StoreFailed."""
    try:
        if place.exists() and not place.is_file():  # /dev/stdout, a pipe
            place.write_bytes(data)
        else:
            files.replace(place, data)
    except OSError as error:
        raise StoreFailed(f"can't write {place}: {error.strerror or error}") from error


def writable(*places: Path | None) -> None:
    """Raises StoreFailed before anything is measured, not after."""
    for place in places:
        if place is not None and not (place.parent.is_dir() and os.access(place.parent, os.W_OK)):
            raise StoreFailed(f"can't write {place}: {place.parent} is not a directory that you may write to")
