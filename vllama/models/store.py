"""Every model that can be asked for: the configured ones and those named on the command line, read from disk.

The store owns the mapping of names to models; ``refresh`` replaces it whole. A model whose files are broken is not
listed; ``problem`` tells why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama.config.load import Loaded
from vllama.config.schema import ModelEntry
from vllama.errors import ModelUnusable
from vllama.models.facts import read_facts
from vllama.models.files import read_files
from vllama.models.hub import blob_name, find_snapshot
from vllama.models.model import Facts, Model
from vllama.models.names import ModelName, parse_name
from vllama.models.sources import Source, parse_source

_BUILTIN: Final = Path(__file__).parent / "builtin"
_SMALL: Final = 32 << 20
_SAMPLE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: ModelName
    source: Source
    entry: ModelEntry | None


@dataclass(frozen=True, slots=True)
class _Stamp:
    """One file as the directory tells it: equal stamps, unchanged files."""

    name: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read from one directory in the state that ``stamps`` tells."""

    stamps: tuple[_Stamp, ...]
    facts: Facts
    digest: str
    license: tuple[str, ...]


class ModelStore:
    """Names to models. Reading happens in the constructor and in ``refresh``; the questions are cheap."""

    def __init__(self, loaded: Loaded, extra: Mapping[str, str] | None = None) -> None:
        """``extra``: name to source of the models named on the command line; they win over configured ones."""
        self._state = loaded.state
        self._wanted = _wanted(loaded, extra or {})
        self._read: dict[Path, _Read] = {}
        self._models: Mapping[str, Model] = {}
        self._problems: Mapping[str, ModelUnusable] = {}
        self.refresh()

    def find(self, name: ModelName) -> Model | None:
        """The model of that name, any case; None when it isn't there or its files are broken."""
        return self._models.get(name.key)

    def all(self) -> tuple[Model, ...]:
        """All usable models, newest first."""
        return tuple(sorted(self._models.values(), key=lambda model: (-model.modified_at, model.name.key)))

    def problem(self, name: ModelName) -> ModelUnusable | None:
        """Why a model that should be there can't be used."""
        return self._problems.get(name.key)

    def missing(self) -> tuple[tuple[ModelName, Source], ...]:
        """Models from the hub that are not here, or not whole: ``models.fetch`` brings them."""
        return tuple(
            (wanted.name, wanted.source)
            for key, wanted in self._wanted.items()
            if wanted.source.kind == "hub" and key in self._problems
        )

    def refresh(self) -> None:
        """Look at the disk again; only directories that changed are read."""
        models: dict[str, Model] = {}
        problems: dict[str, ModelUnusable] = {}
        for key, wanted in self._wanted.items():
            try:
                models[key] = self._model(wanted)
            except ModelUnusable as problem:
                problems[key] = problem
        self._models, self._problems = models, problems

    def _model(self, wanted: _Wanted) -> Model:
        path = _locate(wanted.source, self._state)
        read = self._directory(path)
        entry = wanted.entry
        return Model(
            name=wanted.name,
            path=path,
            facts=read.facts,
            digest=read.digest,
            size=sum(stamp.size for stamp in read.stamps),
            modified_at=max(stamp.modified_ns for stamp in read.stamps) / 1e9,
            system=entry.system if entry else "",
            license=read.license,
            parameters=dict(entry.parameters) if entry else {},
            keep_alive=entry.keep_alive if entry else None,
            pinned=entry.pin if entry else False,
        )

    def _directory(self, path: Path) -> _Read:
        stamps = _stamps(path)
        known = self._read.get(path)
        if known is not None and known.stamps == stamps:
            return known
        facts = read_facts(read_files(path))
        read = _Read(stamps, facts, _digest(path, stamps), _license(path, stamps))
        self._read[path] = read
        return read


def _wanted(loaded: Loaded, extra: Mapping[str, str]) -> dict[str, _Wanted]:
    """Configured models, then those of the command line; names and sources have been checked at their doors."""
    found: dict[str, _Wanted] = {}
    for text, entry in loaded.config.models.items():
        name, source = parse_name(text), parse_source(entry.source)
        if name is not None and source is not None:
            found[name.key] = _Wanted(name, source, entry)
    for text, place in extra.items():
        name, source = parse_name(text), parse_source(place)
        if name is None or source is None:
            raise ModelUnusable(
                f"'{text}={place}' names no model",
                hint="Give a directory, tinychat or a repository org/name[@revision].",
            )
        known = found.get(name.key)
        found[name.key] = _Wanted(name, source, known.entry if known else None)
    return found


def _locate(source: Source, state: Path) -> Path:
    """The model's directory; raises ModelUnusable for a repository that was not fetched."""
    if source.kind == "builtin":
        return _BUILTIN / source.location
    if source.kind == "directory":
        # the files may move below us (a link that is switched): keep the name that was given
        return Path(source.location).expanduser().absolute()
    snapshot = find_snapshot(state, source.location, source.revision)
    if snapshot is None:
        raise ModelUnusable(
            f"{source} is not downloaded", hint=f"'vllama serve {source}' fetches it when the hub can be reached."
        )
    return snapshot


def _stamps(path: Path) -> tuple[_Stamp, ...]:
    """The model's files (links followed), and those one directory below (``1_Pooling``); hidden ones left out."""
    if not (path / "config.json").is_file():
        read_files(path)  # tells why it is no model, before a wrong path makes us walk over the whole disk
    stamps = []
    try:
        for file in sorted((*path.glob("*"), *path.glob("*/*"))):
            name = str(file.relative_to(path))
            if not name.startswith(".") and "/." not in name and file.is_file():
                found = file.stat()
                stamps.append(_Stamp(name, found.st_size, found.st_mtime_ns))
    except OSError as error:
        raise ModelUnusable(
            f"{path} can't be read: {error.strerror}", hint="Let the service's user read it."
        ) from error
    return tuple(stamps)


def _digest(path: Path, stamps: tuple[_Stamp, ...]) -> str:
    """SHA-256 over names, sizes and contents; of large files the hub's own hash, else both ends.

    The same for a copy of the directory: neither its place nor its times count.
    """
    total = hashlib.sha256()
    for stamp in stamps:
        file = path / stamp.name
        content = blob_name(file)
        if content is None:
            try:
                with file.open("rb") as opened:
                    data = opened.read(_SMALL if stamp.size <= _SMALL else _SAMPLE)
                    if stamp.size > _SMALL:
                        opened.seek(-_SAMPLE, 2)
                        data += opened.read()
            except OSError as error:
                raise ModelUnusable(f"{file} can't be read: {error.strerror}") from error
            content = hashlib.sha256(data).hexdigest()
        total.update(f"{stamp.name}\0{stamp.size}\0{content}\n".encode())
    return total.hexdigest()


def _license(path: Path, stamps: tuple[_Stamp, ...]) -> tuple[str, ...]:
    return tuple(
        (path / stamp.name).read_text("utf-8", "replace")
        for stamp in stamps
        if stamp.name.upper().split(".")[0] in {"LICENSE", "LICENCE"} and stamp.size <= _SAMPLE
    )
