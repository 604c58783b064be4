"""The models named on the command line of ``vllama serve``: what the names mean, and pulling those that are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from vllama.config.load import Loaded
from vllama.config.ownership import sole_owner
from vllama.download.transfer import Downloads
from vllama.errors import NotFound
from vllama.http.ollama.progress import progress_lines
from vllama.models.catalogs import read_catalog
from vllama.models.library import Library
from vllama.models.model import Model
from vllama.models.names import parse_name, split_revision
from vllama.models.sources import parse_argument, parse_source
from vllama.models.store import ModelStore
from vllama.service.pulling import make_puller
from vllama.service.stock import registry_of


def sources_of(arguments: Sequence[str], loaded: Loaded, library: Library) -> dict[str, str | None]:
    """The arguments' model names and, where they are given with one or need one, their sources.

    Raises NotFound for an argument that names no model, ConfigError when the catalogue's files are wrong.
    """
    known = {name.key for text in loaded.config.models if (name := parse_name(text)) is not None} | {*library.all()}
    catalog = read_catalog(loaded.config.paths.catalog)
    found: dict[str, str | None] = {}
    for text in arguments:
        read = parse_argument(text, known, lambda place: Path(place).expanduser().is_dir())
        source = parse_source(read[1]) if read is not None and read[1] is not None else None
        name = parse_name(split_revision(text)[0])
        if read is None and name is not None and catalog.find(name) is not None:
            found[name.short] = None
        elif read is None:
            hint = (
                "Give a name of the catalogue (vllama catalog list), a configured one, tinychat, a directory, "
                "a repository (org/name) or NAME=SOURCE."
            )
            raise NotFound(f"there is no model {text!r}", hint=hint)
        elif source is not None and source.kind == "hub" and "=" not in text and name is not None:
            found[name.short] = None  # pulled like any other, and listed from then on
        else:
            found[read[0]] = read[1]
    return found


async def pull_missing(
    names: Iterable[str],
    store: ModelStore,
    loaded: Loaded,
    environ: Mapping[str, str],
    begin: Callable[[str], Callable[[Mapping[str, Any]], None]],
) -> None:
    """Bring the named models that are not on this machine yet.

    ``begin`` is called with each model's name and returns what takes the lines of its progress, as ``/api/pull`` sends
    them.
    """
    wanted = [name for text in names if (name := parse_name(text)) is not None and store.find(name) is None]
    if not wanted:
        return
    with sole_owner(loaded.state):
        puller = make_puller(loaded, store, Downloads(loaded.state, environ, registry_of(loaded)), environ)
        for name in wanted:
            take = begin(name.short.removesuffix(":latest"))
            async with aclosing(progress_lines(puller.pull(name))) as lines:
                async for line in lines:
                    take(line)


def find(store: ModelStore, text: str) -> Model:
    """The model of that name; raises what is wrong with its files, or NotFound."""
    name = parse_name(text)
    if name is None or (model := store.find(name)) is None:
        problem = store.problem(name) if name is not None else None
        raise problem or NotFound(f"model {text!r} not found")
    return model
