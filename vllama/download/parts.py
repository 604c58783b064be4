"""The parts of a download that people see: one for each large file, and one for the small files together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from vllama.download.hub import RemoteFile
from vllama.models.arrival import Part
from vllama.models.sources import Source


class Parts:
    """Of one source; remembers what it reported."""

    def __init__(self, source: Source, files: Sequence[RemoteFile]) -> None:
        small = "".join(f"{file.name}\0{file.size}\n" for file in files if not file.sha256)
        together = sha256(f"{source}\0{small}".encode()).hexdigest()
        self._digests = {file.name: file.sha256 or together for file in files}
        self._totals = self._sums({file.name: file.size for file in files})
        self._reported: dict[str, int] = {}

    def changed(self, sizes: Mapping[str, int]) -> list[Part]:
        """The parts that have changed since the last call; ``sizes``: bytes that are here, by file name."""
        sums = self._sums(sizes)
        parts = [Part(digest, total, sums.get(digest, 0)) for digest, total in self._totals.items()]
        changed = [part for part in parts if self._reported.get(part.digest) != part.completed]
        self._reported |= {part.digest: part.completed for part in changed}
        return changed

    def _sums(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Bytes of each part, from those of its files."""
        sums: dict[str, int] = {}
        for name, size in sizes.items():
            digest = self._digests[name]
            sums[digest] = sums.get(digest, 0) + size
        return sums
