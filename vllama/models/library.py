"""The names that were pulled, copied or created, with their manifests below ``<state>/manifests``.

A manifest is written whole or not at all, and only after the files that it names: a name that is listed is complete.
Before files are deleted a note of it is left (``*.gone``), so that a deletion that a crash broke off is finished later.
There is one library per service; it outlives a changed configuration.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama import files
from vllama.errors import ModelUnusable, StoreFailed
from vllama.models.blobs import Blobs, storing
from vllama.models.manifest import Manifest, file_name, read_manifest, write_manifest
from vllama.models.names import ModelName
from vllama.models.snapshots import remove_snapshot, sweep_incomplete
from vllama.models.sources import Source

_LOG = logging.getLogger("vllama.models")
_MANIFEST, _GONE = ".json", ".gone"
NOBODY: Final = ModelName("", "", "", "")
_MADE_AGAIN: Final = "Pull or create the model again."
_INCOMPLETE_SECONDS: Final = 14 * 24 * 3600.0
"""A fetch that was not continued for this time is given up."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of the library."""

    manifest: Manifest
    modified_at: float
    """Unix seconds: when it was pulled, copied or created."""


class Library:
    """Owner of the manifests and of the files that they name. Its methods may be called from any thread."""

    def __init__(self, state: Path) -> None:
        self.blobs = Blobs(state)
        self._state = state
        self._folder = state / "manifests"
        self._lock = threading.Lock()
        self.unread: Mapping[str, ModelUnusable] = {}
        """What is wrong with manifests that can't be read, by their files' names."""
        self._entries: Mapping[str, Entry] = self._read()

    def all(self) -> Mapping[str, Entry]:
        """Entries by ``ModelName.key``."""
        return self._entries

    def find(self, name: ModelName) -> Manifest | None:
        """The manifest of a name, any case."""
        entry = self._entries.get(name.key)
        return entry.manifest if entry else None

    def put(self, manifest: Manifest, in_use: Collection[Source]) -> bool:
        """Write the manifest of a name, over an earlier one; true if that left files without a user.

        ``in_use``: files that configured models need. Raises StoreFailed; then all is as before.
        """
        with self._lock:
            place = self._folder / file_name(manifest.name)
            note = None
            with storing():
                self._folder.mkdir(parents=True, exist_ok=True)
                if place.exists():
                    note = place.with_name(f"{place.name}.{secrets.token_hex(4)}{_GONE}")
                    note.hardlink_to(place)
                try:
                    files.replace(place, write_manifest(manifest))
                except OSError:
                    if note is not None:
                        note.unlink(missing_ok=True)
                    raise
                modified_at = place.stat().st_mtime
            old = self._entries.get(manifest.name.key)
            self._entries = {**self._entries, manifest.name.key: Entry(manifest, modified_at)}
            self.unread = {name: problem for name, problem in self.unread.items() if name != place.name}
            freed = old is not None and self._free(old.manifest, in_use)
            if note is not None:
                note.unlink(missing_ok=True)
            return freed

    def remove(self, name: ModelName, in_use: Collection[Source]) -> bool:
        """Forget a name and delete the files that only it used; false when there was no such name."""
        with self._lock:
            entry = self._entries.get(name.key)
            place = self._folder / file_name(name)
            if entry is None:
                return self._remove_unread(place)
            note = place.with_name(f"{place.name}.{secrets.token_hex(4)}{_GONE}")
            with storing():
                place.rename(note)
            self._entries = {key: value for key, value in self._entries.items() if key != name.key}
            self._free(entry.manifest, in_use)
            note.unlink(missing_ok=True)
            return True

    def _remove_unread(self, place: Path) -> bool:
        """A manifest that can't be read names no files: those are found by a sweep."""
        if place.name not in self.unread:
            return False
        with storing():
            place.unlink(missing_ok=True)
        self.unread = {name: problem for name, problem in self.unread.items() if name != place.name}
        return True

    def discard(self, source: Source, in_use: Collection[Source]) -> None:
        """Delete files that turned out to be of no use, unless a model uses them."""
        with self._lock:
            self._free(Manifest(NOBODY, source), in_use)

    def sweep(self, in_use: Collection[Source]) -> None:
        """Finish deletions and drop halves that an earlier run left. Only the store's owner may do this.

        What can't be cleaned up is logged, and stays for the next time.
        """
        with self._lock:
            try:
                self._sweep(in_use)
            except OSError as error:
                _LOG.warning("can't clean up the model store: %s", error)

    def _sweep(self, in_use: Collection[Source]) -> None:
        for note in self._folder.glob(f"*{_GONE}"):
            with contextlib.suppress(ModelUnusable):
                self._free(_manifest(note), in_use)
            note.unlink(missing_ok=True)
        for half in self._folder.glob(f"*{files.HALF}"):
            half.unlink(missing_ok=True)
        if not self.unread:  # what those models are made of is not known
            self.blobs.sweep({identity for entry in self._entries.values() for identity in _identities(entry.manifest)})
        if swept := sweep_incomplete(self._state, time.time() - _INCOMPLETE_SECONDS):
            _LOG.info("deleted %d files of downloads that were given up", swept)

    def _manifests(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.name.endswith(_MANIFEST))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError as error:
            hint = "Use sudo, or run the command as the service's user."
            raise StoreFailed(
                "the model store can't be read: permission denied", hint=hint, where=self._folder
            ) from error

    def _read(self) -> Mapping[str, Entry]:
        found = {}
        unread = {}
        for path in self._manifests():
            try:
                entry = _entry(path)
            except ModelUnusable as problem:
                _LOG.warning("%s is left out: %s", path, problem)
                unread[path.name] = problem
            else:
                found[entry.manifest.name.key] = entry
        self.unread = unread
        return found

    def _free(self, manifest: Manifest, in_use: Collection[Source]) -> bool:
        """Delete the files of a removed manifest that no other model uses."""
        used = {entry.manifest.source for entry in self._entries.values()} | {*in_use}
        source, freed = manifest.source, False
        if source.kind == "hub" and source not in used:
            remove_snapshot(self._state, source.location, source.revision)
            freed = True
        kept = {identity for entry in self._entries.values() for identity in _identities(entry.manifest)}
        for identity in _identities(manifest) - kept:
            self.blobs.remove(identity)
            freed = True
        return freed


def _entry(path: Path) -> Entry:
    """Raises ModelUnusable for a file that is not a valid manifest."""
    manifest = _manifest(path)
    if file_name(manifest.name) != path.name:
        raise ModelUnusable(f"it is the manifest of {manifest.name.short}", hint=_MADE_AGAIN)
    return Entry(manifest, path.stat().st_mtime)


def _manifest(path: Path) -> Manifest:
    try:
        return read_manifest(files.read(path))
    except OSError as error:
        raise ModelUnusable(f"its manifest can't be read: {error.strerror}") from error
    except ModelUnusable as error:
        raise ModelUnusable(f"its manifest is broken: {error.detail}", hint=_MADE_AGAIN) from error
    except Exception as error:
        raise ModelUnusable(f"its manifest is broken ({type(error).__name__})", hint=_MADE_AGAIN) from error


def _identities(manifest: Manifest) -> set[str]:
    """The directories of uploaded files that a model uses."""
    own = {manifest.source.location} if manifest.source.kind == "files" else set()
    return own | ({manifest.adapter} if manifest.adapter else set())
