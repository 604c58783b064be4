"""Makes models of names, one by one: one that can't be read does not affect the others.

Whatever reading a model raises becomes that model's ``ModelUnusable``, and a file system that does not answer does,
too. Verdicts are made in threads; callers get the latest one and never wait for a disk.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from vllama.disk import Reads
from vllama.errors import ModelUnusable
from vllama.models.contents import FolderReader
from vllama.models.library import Library
from vllama.models.manifest import Manifest
from vllama.models.model import Model
from vllama.models.names import ModelName
from vllama.models.sources import Source
from vllama.models.stored import stored_model

_LOG: Final = logging.getLogger("vllama.models")
_PATIENCE: Final = 10.0
"""Seconds for the files of one model: configuration, tokenizer and the headers of the weights."""
_IMPATIENCE: Final = 1.0
"""Seconds for each further model, when one has not answered: they may be on the same disk."""
_SILENT: Final = ModelUnusable(
    "its files can't be read at the moment: the file system does not answer",
    hint="Is a network file system down? The model can be used again as soon as its files can be read.",
)

Verdict: TypeAlias = Model | ModelUnusable
Verdicts: TypeAlias = Mapping[str, Verdict]
"""By ``ModelName.key``."""


class Judge:
    """Makes verdicts. ``on_late`` is called, in a thread, when files that did not answer do so after all."""

    def __init__(self, on_late: Callable[[], None], patience: float) -> None:
        self._reads = Reads(on_late)
        self._patience = patience

    def judge(self, wanted: Mapping[str, Callable[[], Model]]) -> Verdicts:
        """A verdict on each; ``wanted``: by key, what makes the model."""
        found: dict[str, Verdict] = {}
        patience = self._patience
        for key, make in wanted.items():
            try:
                found[key] = self._reads.wait(key, make, patience)
            except ModelUnusable as problem:
                found[key] = problem
            except TimeoutError:
                found[key] = _SILENT
                patience = min(patience, _IMPATIENCE)
            except Exception as error:  # noqa: BLE001 - one broken model must not affect the others
                found[key] = unreadable(key, error)
        return found


class Shelf:
    """What each name of a library means. One for all stores of that library, so that all see a change at once."""

    def __init__(
        self, library: Library, state: Path, reader: FolderReader | None = None, patience: float = _PATIENCE
    ) -> None:
        self.library = library
        self.reader = FolderReader() if reader is None else reader
        self.patience = patience
        self._state = state
        self._judge = Judge(self.look, patience)
        self._lock = threading.Lock()
        self.verdicts: Verdicts = {}
        """Replaced whole by every change."""
        self.look()

    def build(self, manifest: Manifest) -> Model:
        """The model that the manifest describes, if it were stored; raises ModelUnusable and nothing else."""
        key = manifest.name.key
        verdict = self._judge.judge({key: partial(self._make, manifest, 0.0)})[key]
        if isinstance(verdict, ModelUnusable):
            raise verdict
        return verdict

    def look(self) -> None:
        """Judge all names again; only directories that changed are read."""
        entries = self.library.all()
        fresh = self._judge.judge(
            {key: partial(self._make, entry.manifest, entry.modified_at) for key, entry in entries.items()}
        )
        with self._lock:  # what was put or removed meanwhile has its own verdict
            now = self.library.all()
            same = {key: verdict for key, verdict in fresh.items() if now.get(key) is entries[key]}
            known = {**self.verdicts, **same}
            self.verdicts = {key: known.get(key, _SILENT) for key in now}

    def put(self, manifest: Manifest, in_use: Collection[Source]) -> bool:
        """As ``Library.put``, for a model that can be built: raises ModelUnusable otherwise, and nothing is written."""
        model = self.build(manifest)
        freed = self.library.put(manifest, in_use)
        key = manifest.name.key
        with self._lock:
            entry = self.library.all().get(key)
            if entry is not None and entry.manifest is manifest:
                self.verdicts = {**self.verdicts, key: replace(model, modified_at=entry.modified_at)}
        if self._waits_for(manifest.source):
            self.look()
        return freed

    def remove(self, name: ModelName, in_use: Collection[Source]) -> bool:
        """As ``Library.remove``."""
        found = self.library.remove(name, in_use)
        with self._lock:
            self.verdicts = {key: verdict for key, verdict in self.verdicts.items() if key in self.library.all()}
        return found

    def _waits_for(self, source: Source) -> bool:
        """Whether a name that could not be used has these files, as after a restored backup."""
        entries = self.library.all()
        broken = [key for key, verdict in self.verdicts.items() if isinstance(verdict, ModelUnusable)]
        return any(key in entries and entries[key].manifest.source == source for key in broken)

    def _make(self, manifest: Manifest, modified_at: float) -> Model:
        return stored_model(manifest, modified_at, self.library.blobs, self._state, self.reader)


def unreadable(key: str, error: Exception) -> ModelUnusable:
    """The error for what is unexpected in a model's files."""
    _LOG.error("%s can't be read", key, exc_info=error)
    if isinstance(error, PermissionError):
        return ModelUnusable(
            "its files can't be read: permission denied", hint="Let the service's user read them (chmod, chown)."
        )
    return ModelUnusable(
        f"its files can't be understood ({type(error).__name__})",
        hint="One of them is broken, or of a kind that vLLama does not know. The service's log says more.",
    )
