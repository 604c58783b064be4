"""Shows the lines of a pull or a create: one bar a part, a spinner between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vllama.cli.progress import Bar, Show

_ID_LENGTH = 12


class Bars:
    """Give it every line as it comes."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._bars: dict[str, Bar] = {}

    def line(self, line: Mapping[str, Any]) -> None:
        """One object of the answer."""
        digest = line.get("digest")
        if not digest or not line.get("total"):
            self._show.status("" if line.get("status") == "success" else str(line.get("status", "")))
            return
        self._show.status("")
        name = str(digest)
        if name not in self._bars:
            label = f"pulling {name.removeprefix('sha256:')[:_ID_LENGTH]}"
            self._bars[name] = self._show.bar(label, total=line["total"], unit="bytes")
        done = line.get("completed", 0)
        if done >= line["total"]:
            self._bars[name].finish()
        else:
            self._bars[name].update(done, total=line["total"])
