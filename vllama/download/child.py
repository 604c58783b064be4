"""``python -m vllama.download.child``: one task of the hub as an errand (``vllama.errand``).

The order is ``{"task": "fetch" or "describe", "source": ..., "registry": ..., "state": ...}``. The result is a commit
or the facts. While files are fetched, each stage is a part, named by its digest, and counts bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vllama.download.cache import fetch
from vllama.download.hub import Snapshot, describe
from vllama.download.messages import FACTS, REGISTRY
from vllama.download.parts import Parts
from vllama.errand.program import ReportStage, carry_out
from vllama.models.sources import Source, parse_stored


def work(order: Mapping[str, Any], report: ReportStage) -> Any:
    """Do what the order says. Raises PullFailed and ModelUnusable."""
    source = parse_stored(order["source"])
    if source is None:
        raise ValueError(f"no source: {order['source']!r}")
    registry = REGISTRY.validate_python(order["registry"])
    if order["task"] == "describe":
        return FACTS.dump_python(describe(source, registry), mode="json")
    progress = _Progress(source, report)
    return fetch(source, Path(order["state"]), progress.planned, progress.grown, registry)


class _Progress:
    """Of one fetch."""

    def __init__(self, source: Source, report: ReportStage) -> None:
        self._source, self._report = source, report
        self._parts = Parts(source, ())

    def planned(self, snapshot: Snapshot) -> None:
        self._parts = Parts(self._source, snapshot.files)
        self.grown({})

    def grown(self, sizes: Mapping[str, int]) -> None:
        for part in self._parts.changed(sizes):
            self._report(part.digest, part.completed, part.total)


if __name__ == "__main__":
    carry_out(work)
