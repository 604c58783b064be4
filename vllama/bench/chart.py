"""Curves over the number of clients, a panel for each figure. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vllama.bench.figures import Figures
from vllama.bench.marks import Circle, Mark, Picture, Polyline, Words

# Okabe and Ito's: people with colour blindness can tell them apart
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_GREY, _INK = "#dddddd", "#333333"
_WIDTH, _HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 45
_LEGEND: Final = 40
_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Curve:
    """One target: a value, and between what it lay, for each number of clients that was measured."""

    target: str
    clients: tuple[int, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure of all targets."""

    title: str
    curves: tuple[Curve, ...]


def panels(rows: Sequence[Figures]) -> tuple[Panel, ...]:
    """Tokens/s and requests/s with smallest and largest round; TTFT, ITL from p50 to p99; only what was measured."""
    targets = list(dict.fromkeys(row.target for row in rows))
    found: dict[str, list[Curve]] = {}
    for target in targets:
        own = sorted((row for row in rows if row.target == target), key=lambda row: row.clients)
        for title, points in (
            ("tokens/s, all clients together", _rates(own, tokens=True)),
            ("requests/s", _rates(own, tokens=False)),
            ("time to the first token, ms (p50, up to p99)", _times(own, gaps=False)),
            ("between two pieces of text, ms (p50, up to p99)", _times(own, gaps=True)),
        ):
            if points:
                clients, values, low, high = zip(*points, strict=True)
                found.setdefault(title, []).append(Curve(target, clients, values, low, high))
    return tuple(Panel(title, tuple(curves)) for title, curves in found.items())


def picture(rows: Sequence[Figures]) -> Picture:
    """All panels, two in a row, below a legend."""
    shown = panels(rows)
    targets = list(dict.fromkeys(row.target for row in rows))
    colours = {target: _COLOURS[number % len(_COLOURS)] for number, target in enumerate(targets)}
    columns = min(2, max(len(shown), 1))
    marks: list[Mark] = list(_legend(colours))
    for number, panel in enumerate(shown):
        down, across = divmod(number, columns)
        marks += _panel(panel, colours, across * _WIDTH, _LEGEND + down * _HEIGHT)
    lines = math.ceil(len(shown) / columns)
    return Picture(columns * _WIDTH, _LEGEND + lines * _HEIGHT, tuple(marks))


def ticks(largest: float) -> tuple[float, ...]:
    """Round numbers from 0 to at least ``largest``."""
    if not largest > 0 or not math.isfinite(largest):
        return (0.0, 1.0)
    raw = largest / _TICKS
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next((factor * scale for factor in (1, 2, 2.5, 5, 10) if factor * scale >= raw * (1 - 1e-9)), 10 * scale)
    count = math.ceil(largest / step * (1 - 1e-9))
    return tuple(step * number for number in range(count + 1))


_Points = list[tuple[int, float, float, float]]


def _rates(rows: Sequence[Figures], *, tokens: bool) -> _Points:
    values = [(row.clients, row.tokens_per_second if tokens else row.requests_per_second) for row in rows]
    return [(clients, value.median, value.low, value.high) for clients, value in values]


def _times(rows: Sequence[Figures], *, gaps: bool) -> _Points:
    values = [(row.clients, row.gap if gaps else row.first) for row in rows]
    return [(clients, one.p50 * 1e3, one.p50 * 1e3, one.p99 * 1e3) for clients, one in values if one is not None]


def _legend(colours: dict[str, str]) -> Iterator[Mark]:
    at = float(_LEFT)
    for target, colour in colours.items():
        yield Polyline(((at, 20.0), (at + 22, 20.0)), colour, 2.5)
        yield Words((at + 28, 20.0), target)
        at += 50 + 7.5 * len(target)


def _panel(panel: Panel, colours: dict[str, str], x: float, y: float) -> Iterator[Mark]:
    marks = ticks(max((max(curve.high) for curve in panel.curves), default=0.0))
    clients = sorted({number for curve in panel.curves for number in curve.clients})
    left, right, top, bottom = x + _LEFT, x + _WIDTH - _RIGHT, y + _TOP, y + _HEIGHT - _BOTTOM

    def across(number: int) -> float:
        """Numbers of clients stand evenly, as 1, 5, 10, 50 would crowd on a straight scale."""
        return left + (clients.index(number) + 0.5) / len(clients) * (right - left)

    def down(value: float) -> float:
        return bottom - value / marks[-1] * (bottom - top)

    yield Words((left, y + 20), panel.title, 13.0, colour=_INK)
    for mark in marks:
        yield Polyline(((left, down(mark)), (right, down(mark))), _GREY)
        yield Words((left - 8, down(mark)), _number(mark), 11.0, "end")
    for number in clients:
        yield Words((across(number), bottom + 14), str(number), 11.0, "middle")
    yield Words(((left + right) / 2, bottom + 32), "clients at once", 11.0, "middle")
    for curve in panel.curves:
        colour = colours[curve.target]
        for number, low, high in zip(curve.clients, curve.low, curve.high, strict=True):
            yield Polyline(((across(number), down(low)), (across(number), down(high))), colour, 1.0)
        points = tuple((across(n), down(value)) for n, value in zip(curve.clients, curve.values, strict=True))
        yield Polyline(points, colour, 2.0)
        for point in points:
            yield Circle(point, 3.0, colour)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"
