"""The file in which the counts of the objectives outlive a restart: JSON, written whole or not at all."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vllama import files
from vllama.observe.slo import Objective
from vllama.observe.windows import Slots, Windows

BROKEN: Final = ".broken"
"""How the name of a file ends that could not be read and was put aside."""
_VERSION: Final = 1
_LATEST: Final = 1e11
"""Unix seconds of the year 5138."""
_LOG: Final = logging.getLogger("vllama.slo")


@dataclass(frozen=True, slots=True)
class Kept:
    """The slots of one objective."""

    fine: Slots
    coarse: Slots

    def windows(self, now: float) -> Windows:
        """What of it still counts."""
        found = Windows()
        found.restore(now, self.fine, self.coarse)
        return found


def write(file: Path, now: float, counted: Iterable[tuple[Objective, Windows]]) -> None:
    """Replace the file. Raises OSError."""
    kept = [{"of": f"{one.name} {one.counts}", **windows.kept()} for one, windows in counted]
    text = json.dumps({"version": _VERSION, "at": now, "objectives": kept}, separators=(",", ":"))
    files.replace(file, text + "\n", mode=0o640)


def read(file: Path) -> tuple[float, dict[str, Kept]]:
    """When it was written (0 without a file), and the counts by name and meaning of their objective.

    A file that is not one of ours is renamed, and logged.
    """
    try:
        data = files.read(file)
    except FileNotFoundError:
        return 0.0, {}
    except OSError as error:
        _LOG.warning("the counts of the objectives can't be read and begin again: %s", error.strerror or error)
        return 0.0, {}
    try:
        return _parsed(json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        aside = file.with_name(file.name + BROKEN)
        with suppress(OSError):
            file.replace(aside)
        _LOG.warning("%s is broken and was renamed to %s; the objectives count from now on", file, aside.name)
        return 0.0, {}


def _parsed(data: Mapping[str, Any]) -> tuple[float, dict[str, Kept]]:
    if data["version"] != _VERSION:
        raise ValueError("is of another version")
    at = float(data["at"])
    if not 0 <= at < _LATEST:
        raise ValueError("is no time")
    found = {str(one["of"]): Kept(_slots(one["fine"]), _slots(one["coarse"])) for one in data["objectives"]}
    for kept in found.values():
        kept.windows(at)  # raises for numbers that are no counts
    return at, found


def _slots(rows: Iterable[Iterable[Any]]) -> Slots:
    found = [tuple(map(int, row)) for row in rows]
    return [(number, events, bad) for number, events, bad in found]
