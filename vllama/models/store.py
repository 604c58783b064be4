"""Every model that can be asked for: configured, named on the command line, or in the library.

The store owns the mapping of names to models; ``refresh`` replaces it whole. A model whose files are broken is not
listed; ``problem`` tells why. A configured name hides one of the library.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vllama.config.load import Loaded
from vllama.config.schema import ModelEntry
from vllama.engine.parsers import shows_thoughts, takes_tools
from vllama.errors import BadRequest, ModelUnusable, NotFound
from vllama.models.adapter import read_adapter
from vllama.models.contents import Contents, Reader
from vllama.models.hub import find_snapshot
from vllama.models.library import Entry, Library
from vllama.models.manifest import Manifest, model_digest
from vllama.models.model import Facts, Model
from vllama.models.names import ModelName, parse_name
from vllama.models.sources import Source, parse_source
from vllama.translate.prompting import with_template

_BUILTIN: Final = Path(__file__).parent / "builtin"


@dataclass(frozen=True, slots=True)
class _Wanted:
    text: str
    """The name as the configuration or the command line spells it."""
    name: ModelName
    source: Source
    entry: ModelEntry | None


@dataclass(frozen=True, slots=True)
class _Known:
    """The state of the mapping at one moment."""

    models: Mapping[str, Model]
    problems: Mapping[str, ModelUnusable]
    version: int
    """Of the library."""


class ModelStore:
    """Names to models. Reading happens in the constructor, in ``refresh`` and after changes; questions are cheap.

    What changes the library reads and writes files: call it in a thread.
    """

    def __init__(self, loaded: Loaded, extra: Mapping[str, str] | None = None, library: Library | None = None) -> None:
        """``extra``: name to source of the models named on the command line; they win over configured ones.

        ``library``: the one of the store before, when the configuration was read again.
        """
        self.library = Library(loaded.state) if library is None else library
        self._loaded = loaded
        self._extra = extra or {}
        self._wanted = _wanted(loaded, self._extra)
        self._reader = Reader()
        self._lock = threading.Lock()
        self._known = _Known({}, {}, -1)
        self.refresh()

    def configured(self, loaded: Loaded) -> ModelStore:
        """The same library under another configuration."""
        return ModelStore(loaded, self._extra, self.library)

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
        return self._now().problems.get(name.key)

    def missing(self) -> tuple[tuple[ModelName, Source], ...]:
        """Configured models from the hub that are not here, or not whole."""
        problems = self._now().problems
        return tuple(
            (wanted.name, wanted.source)
            for key, wanted in self._wanted.items()
            if wanted.source.kind == "hub" and key in problems
        )

    def source(self, name: ModelName) -> Source | None:
        """Where the files of a configured model come from; None for every other name."""
        wanted = self._wanted.get(name.key)
        return wanted.source if wanted else None

    def manifest(self, name: ModelName) -> Manifest | None:
        """What a copy of that model, or one that is created from it, starts with."""
        wanted = self._wanted.get(name.key)
        if wanted is None:
            return self.library.find(name)
        model = self.find(name)
        if model is None:
            return None
        source = wanted.source
        if source.kind == "hub":
            source = Source("hub", source.location, model.path.name)
        elif source.kind == "directory":
            source = Source("directory", str(model.path))
        return Manifest(wanted.name, source, system=model.system, parameters=model.parameters)

    # ------------------------------------------------------------------------------------------------ changes

    def refresh(self) -> None:
        """Look at the disk again; only directories that changed are read."""
        with self._lock:
            version = self.library.version
            models: dict[str, Model] = {}
            problems: dict[str, ModelUnusable] = {}
            for key, entry in self.library.all().items():
                try:
                    models[key] = self._stored(entry)
                except ModelUnusable as problem:
                    problems[key] = problem
            for key, wanted in self._wanted.items():
                models.pop(key, None)
                try:
                    models[key] = self._configured(wanted)
                except ModelUnusable as problem:
                    problems[key] = problem
            self._known = _Known(_with_room(models), problems, version)

    def refuse_configured(self, name: ModelName) -> None:
        """Raises BadRequest for a configured name: what it means is changed in the configuration."""
        wanted = self._wanted.get(name.key)
        if wanted is None:
            return
        origin = self._loaded.origin_of(("models", wanted.text))
        where = f"in the configuration ({origin})" if wanted.entry else "on the command line"
        raise BadRequest(f"{wanted.name.short} is defined {where}", hint="Change it there, or choose another name.")

    def check(self, source: Source) -> None:
        """Raises ModelUnusable when the files can't be served."""
        self._reader.read(self._place(source))

    def save(self, manifest: Manifest) -> bool:
        """Make a name mean ``manifest``; true when files that nobody uses any more were deleted.

        Raises BadRequest for a configured name, ModelUnusable when the files can't be served, StoreFailed; then the
        name means what it meant before. A name that differs only in case keeps its stored spelling.
        """
        self.refuse_configured(manifest.name)
        self.check(manifest.source)
        known = self.library.find(manifest.name)
        if known is not None:
            manifest = replace(manifest, name=known.name)
        freed = self.library.put(manifest, self._in_use())
        self.refresh()
        return freed

    def copy(self, source: ModelName, destination: ModelName) -> None:
        """A second name for a model; the files are shared. Raises NotFound, BadRequest, StoreFailed."""
        manifest = self.manifest(source)
        if manifest is None:
            raise NotFound(f'model "{source.short}" not found')
        if source.key == destination.key and source.key in self._wanted:
            return
        self.save(replace(manifest, name=destination))

    def remove(self, name: ModelName) -> bool:
        """Forget a name of the library and delete what only it used; false when there is no such name.

        Raises BadRequest for a configured one. An engine that runs on the files goes on.
        """
        self.refuse_configured(name)
        found = self.library.remove(name, self._in_use())
        self.refresh()
        return found

    def discard(self, source: Source) -> None:
        """Delete fetched files that can't be served, unless a model uses them."""
        self.library.discard(source, self._in_use())

    def sweep(self) -> None:
        """Clean up what an earlier run left half done. Only the store's owner may do this."""
        self.library.sweep(self._in_use())
        self.refresh()

    # ------------------------------------------------------------------------------------------------- inside

    def _now(self) -> _Known:
        if self._known.version != self.library.version:
            self.refresh()
        return self._known

    def _in_use(self) -> set[Source]:
        """Fetched commits that configured models need."""
        used = set()
        for wanted in self._wanted.values():
            if wanted.source.kind == "hub":
                snapshot = find_snapshot(self._loaded.state, wanted.source.location, wanted.source.revision)
                if snapshot is not None:
                    used.add(Source("hub", wanted.source.location, snapshot.name))
        return used

    def _configured(self, wanted: _Wanted) -> Model:
        path = self._place(wanted.source)
        contents = self._reader.read(path)
        entry = wanted.entry
        base = _model(wanted.name, path, contents)
        if entry is None:
            return base
        layers = {"system": entry.system, "parameters": dict(entry.parameters)}
        return replace(
            base,
            digest=model_digest(contents.digest, {kind: value for kind, value in layers.items() if value}),
            system=entry.system,
            parameters=dict(entry.parameters),
            keep_alive=entry.keep_alive,
            pinned=entry.pin,
        )

    def _stored(self, entry: Entry) -> Model:
        manifest = entry.manifest
        path = self._place(manifest.source)
        contents = self._reader.read(path)
        base = _model(manifest.name, path, contents)
        return replace(
            base,
            facts=with_template(_with_parsers(contents.facts, manifest), manifest.template),
            digest=model_digest(contents.digest, manifest.layers),
            modified_at=entry.modified_at,
            adapter=read_adapter(self.library.blobs.directory(manifest.adapter)) if manifest.adapter else None,
            parent=manifest.parent,
            system=manifest.system,
            template=manifest.template,
            license=manifest.license or contents.license,
            parameters=dict(manifest.parameters),
            messages=manifest.messages,
        )

    def _place(self, source: Source) -> Path:
        """The model's directory; raises ModelUnusable for a repository that was not fetched."""
        if source.kind == "builtin":
            return _BUILTIN / source.location
        if source.kind == "files":
            return self.library.blobs.directory(source.location)
        if source.kind == "directory":
            # the files may move below us (a link that is switched): keep the name that was given
            return Path(source.location).expanduser().absolute()
        snapshot = find_snapshot(self._loaded.state, source.location, source.revision)
        if snapshot is None:
            raise ModelUnusable(f"{source} is not downloaded", hint=f"Fetch it: vllama pull {source}")
        return snapshot


def _with_room(models: Mapping[str, Model]) -> Mapping[str, Model]:
    """Every model told of the adapters on its base: whichever loads the engine, it has room for them."""
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


def _model(name: ModelName, path: Path, contents: Contents) -> Model:
    """A directory under a name, nothing added."""
    return Model(
        name=name,
        path=path,
        facts=contents.facts,
        digest=contents.digest,
        size=contents.size,
        modified_at=contents.modified_at,
        license=contents.license,
    )


def _with_parsers(facts: Facts, manifest: Manifest) -> Facts:
    """The catalogue's parsers where the chat template takes tools or thoughts, but not in a spelling that we know."""
    template, found = facts.chat_template or "", set(facts.capabilities)
    tool, reasoning = facts.tool_parser, facts.reasoning_parser
    if tool is None and manifest.tool_parser and takes_tools(template):
        tool = manifest.tool_parser
        found.add("tools")
    if reasoning is None and manifest.reasoning_parser and shows_thoughts(template):
        reasoning = manifest.reasoning_parser
        found.add("thinking")
    capabilities = (*facts.capabilities, *sorted(found - {*facts.capabilities}))
    return replace(facts, tool_parser=tool, reasoning_parser=reasoning, capabilities=capabilities)


def _wanted(loaded: Loaded, extra: Mapping[str, str]) -> dict[str, _Wanted]:
    """Configured models, then those of the command line; names and sources have been checked at their doors."""
    found: dict[str, _Wanted] = {}
    for text, entry in loaded.config.models.items():
        name, source = parse_name(text), parse_source(entry.source)
        if name is not None and source is not None:
            found[name.key] = _Wanted(text, name, source, entry)
    for text, place in extra.items():
        name, source = parse_name(text), parse_source(place)
        if name is None or source is None:
            raise ModelUnusable(
                f"'{text}={place}' names no model",
                hint="Give a directory, tinychat or a repository org/name[@revision].",
            )
        known = found.get(name.key)
        found[name.key] = _Wanted(text, name, source, known.entry if known else None)
    return found
