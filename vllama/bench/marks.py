"""What a picture is made of, wherever it is drawn: lines, dots and words at places. Pure.

``svg`` and ``png`` draw the same marks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Polyline:
    """Through these points."""

    points: tuple[Point, ...]
    colour: str
    """``#rrggbb``."""
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Circle:
    """A filled circle."""

    centre: Point
    radius: float
    colour: str


@dataclass(frozen=True, slots=True)
class Words:
    """Text on one line; ``at`` is the middle of its height, at its start, middle or end."""

    at: Point
    text: str
    size: float = 12.0
    anchor: Literal["start", "middle", "end"] = "start"
    colour: str = "#333333"


Mark = Polyline | Circle | Words


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels from the upper left corner, on white."""

    width: int
    height: int
    marks: tuple[Mark, ...]
