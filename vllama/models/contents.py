"""What is in a model's directory: facts, digest, licence. Directories that did not change are not read again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama.install.capabilities import shipped_registry
from vllama.install.registry import Registry
from vllama.models.facts import read_facts
from vllama.models.files import read_files
from vllama.models.model import Facts
from vllama.models.modeljson import unreadable
from vllama.models.snapshots import blob_name

_SMALL: Final = 32 << 20
_SAMPLE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Stamp:
    """One file as the directory lists it: equal stamps mean an unchanged file."""

    name: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What was read from one directory while its files had these ``stamps``."""

    stamps: tuple[Stamp, ...]
    facts: Facts
    digest: str
    license: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(stamp.size for stamp in self.stamps)

    @property
    def modified_at(self) -> float:
        """Unix seconds of the newest file."""
        return max(stamp.modified_ns for stamp in self.stamps) / 1e9


class FolderReader:
    """Reads directories and remembers them."""

    def __init__(self, registry: Callable[[], Registry] = shipped_registry) -> None:
        self.registry = registry
        """What the engine knows about models, at the moment."""
        self._known: dict[Path, tuple[Registry, Contents]] = {}

    def read(self, path: Path) -> Contents:
        """Raises ModelUnusable."""
        registry = self.registry()
        stamps = _stamps(path)
        known = self._known.get(path)
        if known is not None and known[0] == registry and known[1].stamps == stamps:
            return known[1]
        facts = read_facts(read_files(path), registry)
        contents = Contents(stamps, facts, _digest(path, stamps), _license(path, stamps))
        self._known[path] = registry, contents
        return contents


def _stamps(path: Path) -> tuple[Stamp, ...]:
    """The model's files (links followed), and those one directory below (``1_Pooling``); hidden ones left out."""
    if not (path / "config.json").is_file():
        read_files(path)  # raises the reason, before a wrong path makes us walk over the whole disk
    stamps = []
    try:
        for file in sorted((*path.glob("*"), *path.glob("*/*"))):
            name = str(file.relative_to(path))
            if not name.startswith(".") and "/." not in name and file.is_file():
                found = file.stat()
                stamps.append(Stamp(name, found.st_size, found.st_mtime_ns))
    except OSError as error:
        raise unreadable(path, error) from error
    return tuple(stamps)


def _digest(path: Path, stamps: tuple[Stamp, ...]) -> str:
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
                raise unreadable(file, error) from error
            content = hashlib.sha256(data).hexdigest()
        total.update(f"{stamp.name}\0{stamp.size}\0{content}\n".encode())
    return total.hexdigest()


def _license(path: Path, stamps: tuple[Stamp, ...]) -> tuple[str, ...]:
    return tuple(
        (path / stamp.name).read_text("utf-8", "replace")
        for stamp in stamps
        if stamp.name.upper().split(".")[0] in {"LICENSE", "LICENCE"} and stamp.size <= _SAMPLE
    )
