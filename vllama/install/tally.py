"""How far an installation has got, from the lines that uv prints. Pure.

Weights are the packages' sizes: fetching takes the first 80 of a hundred, putting them in place the rest. The
percentage never falls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from vllama.install.lock import DEFAULT_MEGABYTES, normalised

_FETCH_SHARE: Final = 80.0

_UV_BEGUN: Final = re.compile(r"Downloading ([A-Za-z0-9_-]+) \(([\d.]+) ?([KMG]?i?B)\)")
_UV_FETCHED: Final = re.compile(r"Downloaded (\S+)")
_UV_PREPARED: Final = re.compile(r"Prepared \d+ packages? in")
_UV_INSTALLED: Final = re.compile(r"Installed \d+ packages? in")

_MEGABYTES: Final = {"B": 1e-6, "KiB": 1.024e-3, "MiB": 1.048576, "GiB": 1073.74}


class Tally:
    """Counts one installation. Feed it every line; read ``percent`` and ``doing``."""

    def __init__(self, sizes: Mapping[str, float]) -> None:
        """``sizes``: megabytes of each package that will come, by normalised name."""
        self._sizes = dict(sizes)
        self._fetched: set[str] = set()
        self._begun: dict[str, str] = {}
        self._shown = 0.0
        self._placing = False
        self._placed = 0.0
        self.doing = "looking for packages"
        """The current step for people: ``triton 272.5 MiB``."""

    @property
    def percent(self) -> float:
        """0 to 100."""
        total = sum(self._sizes.values()) or 1.0
        share = sum(self._sizes[name] for name in self._fetched) / total
        now = _FETCH_SHARE + (100 - _FETCH_SHARE) * self._placed if self._placing else _FETCH_SHARE * share
        self._shown = max(self._shown, min(now, 100.0))
        return self._shown

    @property
    def placing(self) -> bool:
        """Everything is fetched and being put in place; a caller that can see the venv may call ``placed``."""
        return self._placing

    def placed(self, packages: int) -> None:
        """This many packages are in place: pip prints nothing between its first and its last line."""
        if self._placing:
            self._placed = max(self._placed, min(packages / max(len(self._sizes), 1), 0.99))

    def hear(self, line: str) -> None:
        """One line of uv's output; unknown lines are ignored."""
        line = line.strip()
        if found := _UV_BEGUN.match(line):
            self._begin(found[1], f"{found[2]} {found[3]}")
        elif found := _UV_FETCHED.match(line):
            self._finish(found[1])
        elif _UV_PREPARED.match(line):
            self._fetched = set(self._sizes)
            self._placing = True
            self.doing = f"putting {len(self._sizes)} packages in place"
        elif _UV_INSTALLED.match(line):
            self._placing, self._placed = True, 1.0
            self.doing = "packages in place"

    def _begin(self, name: str, size: str) -> None:
        name = normalised(name)
        self._begun[name] = size
        # a size seen on the wire is better than the guess for a package that the lock does not weigh
        if self._sizes.get(name, DEFAULT_MEGABYTES) == DEFAULT_MEGABYTES:
            self._sizes[name] = max(_megabytes(size), 0.1)
        self._say(f"{name} {size}".strip())

    def _finish(self, name: str) -> None:
        name = normalised(name)
        self._sizes.setdefault(name, DEFAULT_MEGABYTES)
        self._fetched.add(name)
        self._begun.pop(name, None)
        if self._begun:
            # show the largest package that is still being fetched: people wait for that one
            slowest = max(self._begun, key=lambda waiting: self._sizes[waiting])
            self._say(f"{slowest} {self._begun[slowest]}".strip())

    def _say(self, what: str) -> None:
        self.doing = what


def _megabytes(size: str) -> float:
    number, _, unit = size.partition(" ")
    try:
        return float(number) * _MEGABYTES.get(unit, 1.0)
    except ValueError:
        return DEFAULT_MEGABYTES
