"""The models named on the command line of ``vllama serve``: what the names mean, and pulling those that are missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from vllama.service.stock import open_store, registry_of


class Named:
    """The named models, and the store in which they stand over the configured ones."""

    def __init__(self, arguments: Sequence[str], loaded: Loaded) -> None:
        """Raises NotFound for an argument that names no model, ConfigError when the catalogue's files are wrong."""
        library = Library(loaded.state)
        sources = _sources(arguments, loaded, library)
        self._names = tuple(sources)
        self._extra = {name: source for name, source in sources.items() if source is not None}
        self._kept = frozenset(name.key for name in map(parse_name, self._names) if name is not None)
        self.store = open_store(loaded, self._extra, library, self._kept)

    def reopened(self, loaded: Loaded) -> ModelStore:
        """The store under another configuration, with the same library."""
        return open_store(loaded, self._extra, self.store.shelf, self._kept)

    async def pull_missing(
        self, loaded: Loaded, environ: Mapping[str, str], begin: Callable[[str], Callable[[Mapping[str, Any]], None]]
    ) -> None:
        """Bring the models that are not on this machine yet.

        ``begin`` is called with each one's name and returns what takes the lines of its progress, as ``/api/pull``
        sends them.
        """
        names = filter(None, map(parse_name, self._names))
        missing = [name for name in names if self.store.find(name) is None]
        if not missing:
            return
        with sole_owner(loaded.state):
            puller = make_puller(loaded, self.store, Downloads(loaded.state, environ, registry_of(loaded)), environ)
            for name in missing:
                take = begin(name.short.removesuffix(":latest"))
                async with aclosing(progress_lines(puller.pull(name))) as lines:
                    async for line in lines:
                        take(line)

    def models(self) -> list[Model]:
        """To be loaded at once and kept. Raises what is wrong with the files of one, or NotFound."""
        return [_find(self.store, text) for text in self._names]


def _sources(arguments: Sequence[str], loaded: Loaded, library: Library) -> dict[str, str | None]:
    """The arguments' model names and, where they are given with one or need one, their sources."""
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
            near = catalog.near(name) if name is not None else ""
            hint = (f"Did you mean {near}? " if near else "") + (
                "Give a name of the catalogue (vllama catalog list), a configured one, tinychat, a directory, "
                "a repository (org/name) or NAME=SOURCE."
            )
            raise NotFound(f"there is no model {text!r}", hint=hint)
        elif source is not None and source.kind == "hub" and "=" not in text and name is not None:
            found[name.short] = None  # pulled like any other, and listed from then on
        else:
            found[read[0]] = read[1]
    return found


def _find(store: ModelStore, text: str) -> Model:
    name = parse_name(text)
    if name is None or (model := store.find(name)) is None:
        problem = store.problem(name) if name is not None else None
        raise problem or NotFound(f"model {text!r} not found")
    return model
