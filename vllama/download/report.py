"""What a download reports: the lines of a pull, and how far its parts are. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal

from vllama.models.arrival import Part
from vllama.models.sources import Source

PullStep = Literal[
    "pulling manifest", "verifying sha256 digest", "writing manifest", "removing unused layers", "success"
]
"""What Ollama says between the parts."""


class Parts:
    """The parts of one download, from the lines of its child."""

    def __init__(self, source: Source) -> None:
        self.now: tuple[Part, ...] = ()
        self._source = source
        self._digests: Mapping[str, str] = {}
        """Of each file's part."""

    def hear(self, line: Mapping[str, Any]) -> None:
        """One line of the child."""
        match line:
            case {"snapshot": {"files": files}}:
                self._begin(files)
            case {"here": here}:
                self._grow(here)

    def _begin(self, files: Sequence[Mapping[str, Any]]) -> None:
        """One part a large file, one for the others together."""
        small = [file for file in files if not file["sha256"]]
        listed = "".join(f"{file['name']}\0{file['size']}\n" for file in small)
        together = sha256(f"{self._source}\0{listed}".encode()).hexdigest()
        self._digests = {file["name"]: file["sha256"] or together for file in files}
        totals = self._sums({file["name"]: file["size"] for file in files})
        self.now = tuple(Part(digest, total, 0) for digest, total in totals.items())

    def _grow(self, here: Mapping[str, int]) -> None:
        sums = self._sums(here)
        self.now = tuple(replace(part, completed=sums.get(part.digest, 0)) for part in self.now)

    def _sums(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Bytes of each part, from those of its files."""
        sums: dict[str, int] = {}
        for name, size in sizes.items():
            digest = self._digests[name]
            sums[digest] = sums.get(digest, 0) + size
        return sums
