"""Every model that can be asked for: given by the configuration or the command line, or in the library.

The store puts the given models over those of the library's shelf; ``refresh`` looks at the disk again. A model whose
files are broken is not listed; ``problem`` says why. A given name hides one of the library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from vllama.errors import BadRequest, ModelUnusable, NotFound, NotPulled
from vllama.install.registry import Registry
from vllama.models.contents import FolderReader
from vllama.models.library import NOBODY, Entry, Library
from vllama.models.manifest import Manifest, file_name, model_digest
from vllama.models.model import Model
from vllama.models.names import ModelName, parse_name
from vllama.models.shelf import Judge, Shelf, Verdicts
from vllama.models.snapshots import find_snapshot
from vllama.models.sources import Source
from vllama.models.stored import check_listed, place_of, plain_model, stored_model


@dataclass(frozen=True, slots=True)
class Given:
    """A model that is always there, because the configuration or the command line names it."""

    name: ModelName
    source: Source
    where: str
    """Where it is defined, in words: ``in the configuration (FILE:LINE)``."""
    system: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    keep_alive: float | None = None
    """Seconds; None: as long as any other model."""
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """The mapping that these verdicts make together."""

    stored: Verdicts
    own: Verdicts
    models: Mapping[str, Model]
    problems: Mapping[str, ModelUnusable]


class ModelStore:
    """Names to models. Reading happens in the constructor, in ``refresh`` and before changes; questions never wait.

    What changes the library reads and writes files: call it in a thread.
    """

    def __init__(
        self,
        state: Path,
        given: Iterable[Given],
        registry: Callable[[], Registry],
        library: Library | Shelf | None = None,
        kept: Collection[str] = (),
    ) -> None:
        """``state``: the directory of what was fetched. ``registry``: what the engine knows about models now.

        ``kept``: ``ModelName.key`` of models that stay loaded once they are, whatever the configuration says.

        ``library``: one that was read already, or the shelf of the store before, when the configuration was read again.
        """
        known = Library(state) if library is None else library
        self.shelf = known if isinstance(known, Shelf) else Shelf(known, state, FolderReader(registry))
        """What the names of the library mean; a store that follows this one takes it over."""
        self.shelf.reader.registry = registry
        self._state = state
        self._kept = kept
        self._given = {one.name.key: one for one in given}
        self._judge = Judge(self._look, self.shelf.patience)
        self._own: Verdicts = {}
        self._known = _Known({}, {}, {}, {})
        self._look()

    @property
    def library(self) -> Library:
        """The names that were pulled, copied or created."""
        return self.shelf.library

    # --------------------------------------------------------------------------------------------- questions

    def find(self, name: ModelName) -> Model | None:
        """The model of that name, any case; None when it isn't there or its files are broken."""
        return self._now().models.get(name.key)

    def all(self) -> tuple[Model, ...]:
        """All usable models, newest first."""
        models = self._now().models.values()
        return tuple(sorted(models, key=lambda model: (-model.modified_at, model.name.key)))

    def problem(self, name: ModelName) -> ModelUnusable | None:
        """Why a model that should be there can't be used."""
        found = self._now().problems.get(name.key) or self.library.unread.get(file_name(name))
        # a copy for each caller: an error that is raised again and again keeps the frames of all of them
        return copy(found)

    def source(self, name: ModelName) -> Source | None:
        """Where the files of a configured model come from; None for every other name."""
        given = self._given.get(name.key)
        return given.source if given else None

    def manifest(self, name: ModelName) -> Manifest | None:
        """What a copy of that model, or one that is created from it, starts with."""
        given = self._given.get(name.key)
        if given is None:
            return self.library.find(name)
        model = self.find(name)
        if model is None:
            return None
        source = given.source
        if source.kind == "model":
            manifest = self._entry(source).manifest
            return replace(manifest, name=given.name, system=model.system, parameters=model.parameters)
        if source.kind == "hub":
            source = Source("hub", source.location, model.path.name)
        elif source.kind == "directory":
            source = Source("directory", str(model.path))
        return Manifest(given.name, source, system=model.system, parameters=model.parameters)

    # ------------------------------------------------------------------------------------------------ changes

    def refresh(self) -> None:
        """Look at the disk again; only directories that changed are read."""
        self.shelf.look()
        self._look()

    def refuse_configured(self, name: ModelName) -> None:
        """Raises BadRequest for a configured name: what it means is changed in the configuration."""
        given = self._given.get(name.key)
        if given is not None:
            text = f"{given.name.short} is defined {given.where}"
            raise BadRequest(text, hint="Change it there, or choose another name.")

    def check(self, source: Source) -> None:
        """Raises ModelUnusable when the files can't be served."""
        self.build(Manifest(NOBODY, source))

    def build(self, manifest: Manifest) -> Model:
        """The model that a manifest describes, before anything is stored; raises ModelUnusable."""
        return self.shelf.build(manifest)

    def save(self, manifest: Manifest) -> bool:
        """Make a name mean ``manifest``; true if files without a user were deleted.

        Raises BadRequest for a configured name, ModelUnusable when the files can't be served, StoreFailed; then the
        name means what it meant before. A name that differs only in case keeps its stored spelling.
        """
        self.refuse_configured(manifest.name)
        return self.keep(manifest)

    def keep(self, manifest: Manifest) -> bool:
        """As ``save``, also below a configured name: for one whose source is what is kept under a name."""
        known = self.library.find(manifest.name)
        if known is not None:
            manifest = replace(manifest, name=known.name)
        freed = self.shelf.put(manifest, self._in_use())
        if self._waits_for(manifest.source) or self._made_of(manifest.name):
            self._look()
        return freed

    def copy(self, source: ModelName, destination: ModelName) -> None:
        """A second name for a model; the files are shared. Raises NotFound, BadRequest, StoreFailed."""
        manifest = self.manifest(source)
        if manifest is None:
            raise NotFound(f'model "{source.short}" not found')
        if source.key == destination.key and source.key in self._given:
            return
        self.save(replace(manifest, name=destination))

    def remove(self, name: ModelName) -> bool:
        """Forget a name of the library and delete what only it used; false if there is no such name.

        Raises BadRequest for a configured one, and for the source of one. An engine that runs on the files goes on.
        """
        self.refuse_configured(name)
        for user in self._made_of(name):
            text = f"{name.short} is the source of {user.name.short}, which is defined {user.where}"
            raise BadRequest(text, hint="Change it there first.")
        return self.shelf.remove(name, self._in_use())

    def discard(self, source: Source) -> None:
        """Delete fetched files that can't be served, unless a model uses them."""
        self.library.discard(source, self._in_use())

    def sweep(self) -> None:
        """Clean up what an earlier run left half done. Only the store's owner may do this."""
        self.library.sweep(self._in_use())
        self.refresh()

    # ------------------------------------------------------------------------------------------------- inside

    def _now(self) -> _Known:
        """Made of the latest verdicts: it neither reads a disk nor waits."""
        stored, own, known = self.shelf.verdicts, self._own, self._known
        if known.stored is not stored or known.own is not own:
            found = {**stored, **own}
            models = {key: self._keep(key, verdict) for key, verdict in found.items() if isinstance(verdict, Model)}
            problems = {key: verdict for key, verdict in found.items() if isinstance(verdict, ModelUnusable)}
            known = self._known = _Known(stored, own, _with_room(models), problems)
        return known

    def _keep(self, key: str, model: Model) -> Model:
        return replace(model, keep_alive=math.inf, pinned=True) if key in self._kept else model

    def _waits_for(self, source: Source) -> bool:
        """Whether a configured model that could not be used is of this repository."""
        broken = [self._given[key].source for key, verdict in self._own.items() if isinstance(verdict, ModelUnusable)]
        return any(one.kind == "hub" and one.location == source.location for one in broken)

    def _made_of(self, name: ModelName) -> list[Given]:
        """The configured models whose source is that name."""
        users = [given for given in self._given.values() if given.source.kind == "model"]
        return [given for given in users if (one := parse_name(given.source.location)) and one.key == name.key]

    def _entry(self, source: Source) -> Entry:
        """What the library has under the name that is the source of a configured model; raises ModelUnusable."""
        name = parse_name(source.location)
        entry = self.library.all().get(name.key) if name is not None else None
        if entry is None:
            raise NotPulled(f"{source} is not downloaded", hint=f"Fetch it: vllama pull {source}")
        return entry

    def _look(self) -> None:
        """Judge the configured models again."""
        self._own = self._judge.judge({key: partial(self._model, given) for key, given in self._given.items()})

    def _in_use(self) -> set[Source]:
        """Fetched commits that given models need."""
        used = set()
        for given in self._given.values():
            if given.source.kind == "hub":
                snapshot = find_snapshot(self._state, given.source.location, given.source.revision)
                if snapshot is not None:
                    used.add(Source("hub", given.source.location, snapshot.name))
        return used

    def _model(self, given: Given) -> Model:
        base = self._base(given)
        layers = {"system": given.system, "parameters": dict(given.parameters)}
        return replace(
            base,
            digest=model_digest(base.digest, {kind: value for kind, value in layers.items() if value}),
            system=given.system or base.system,
            parameters={**base.parameters, **given.parameters},
            keep_alive=given.keep_alive,
            pinned=given.pinned,
        )

    def _base(self, given: Given) -> Model:
        """The model before the configuration adds anything to it; raises ModelUnusable."""
        blobs, reader = self.library.blobs, self.shelf.reader
        if given.source.kind == "model":
            entry = self._entry(given.source)
            return replace(stored_model(entry.manifest, entry.modified_at, blobs, self._state, reader), name=given.name)
        path = place_of(given.source, blobs, self._state)
        base = plain_model(given.name, path, reader.read(path))
        check_listed(base)
        return base


def _with_room(models: Mapping[str, Model]) -> Mapping[str, Model]:
    """Every model with the number of adapters on its base: whichever model loads the engine, it has room for them."""
    adapters: dict[str, dict[Path, int]] = {}
    for model in models.values():
        if model.adapter is not None:
            adapters.setdefault(model.engine_key, {})[model.adapter.path] = model.adapter.rank
    return {
        key: replace(model, lora_rank=max(found.values()), lora_count=len(found))
        if (found := adapters.get(model.engine_key))
        else model
        for key, model in models.items()
    }
