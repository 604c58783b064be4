"""What is known about the next load of an engine, until it has a process. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class ShortOfMemory:
    """Its plan, or its wake-up, was refused: ``missing`` bytes must become free first."""

    missing: int


@dataclass(frozen=True, slots=True)
class ShortOfPlaces:
    """``engine.max_loaded`` is reached: another engine must be unloaded first."""


Short: TypeAlias = ShortOfMemory | ShortOfPlaces
"""It waits at the head of the queue until room is made for it."""

Outlook: TypeAlias = Literal["open", "alone", "parallel", "overtaken", "put off"] | Short
"""``open``: nothing is known. Three more while it is planned or woken:

``alone``: nothing else loads, so a refusal is final.
``parallel``: another engine loads, so a refusal is not final.
``overtaken``: an engine has gone or has become ready since. What was seen of the memory is no longer true, so a refusal
is not final.

And while it is in the queue:

``put off``: it was refused next to another load. It is planned again when a load has ended or an engine has gone.
"""


@dataclass(frozen=True, slots=True)
class Setbacks:
    """What has gone wrong with an engine and still counts."""

    crashes: tuple[float, ...] = ()
    """When it crashed, in monotonic seconds."""
    failed_starts: int = 0
    """How often in a row it failed before it was ready."""
    gentler: int = 0
    """Its plans that ran out of memory: the next one asks for less."""
