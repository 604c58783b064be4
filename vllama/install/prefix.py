"""The folder that holds the installed engines, and which of them is the current one.

::

    PREFIX/0.32.0-cpu/                    a venv
    PREFIX/0.32.0-cpu/capabilities.json   written last: its presence is what makes the venv usable
    PREFIX/current -> 0.32.0-cpu          switched by one rename
    PREFIX/previous -> 0.31.4-cpu         what `vllama engine rollback` returns to
    PREFIX/.lock                          held while an install runs
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama import files

SYSTEM: Final = Path("/var/lib/vllama-engine")


@dataclass(frozen=True, slots=True)
class Home:
    """One venv under the prefix."""

    path: Path

    @property
    def python(self) -> Path:
        """Its interpreter. Not resolved: the symlink is what makes it this venv."""
        return self.path / "bin" / "python"

    @property
    def capabilities_file(self) -> Path:
        """The answer of its vLLM; only a finished install has it."""
        return self.path / "capabilities.json"

    @property
    def complete(self) -> bool:
        """Whether an install ended here, verified."""
        return self.capabilities_file.is_file()

    @property
    def interpreter_gone(self) -> bool:
        """The venv is there but the Python it was made from is not, as after a distribution upgrade."""
        return self.python.is_symlink() and not self.python.exists()


@dataclass(frozen=True, slots=True)
class Prefix:
    """The folder and its links."""

    path: Path

    @property
    def current(self) -> Home | None:
        """The engine that is used."""
        return self._behind("current")

    @property
    def previous(self) -> Home | None:
        """The one before it."""
        return self._behind("previous")

    def homes(self) -> Iterator[Home]:
        """Every venv, finished or not, in a folder that may be read."""
        try:
            entries = sorted(self.path.iterdir())
        except OSError:
            return
        for entry in entries:
            if not entry.is_symlink() and (entry / "pyvenv.cfg").is_file():
                yield Home(entry)

    def new_home(self, version: str, backend: str) -> Home:
        """Where to build: ``VERSION-BACKEND``, or ``…-2`` and so on while that name holds a finished engine.

        A finished engine is never built over, because one may be running from it.
        """
        name = f"{version}-{backend}"
        number = 1
        while (home := Home(self.path / (name if number == 1 else f"{name}-{number}"))).complete:
            number += 1
        return home

    def publish(self, home: Home) -> None:
        """Make ``home`` the current engine by one rename; the one before becomes ``previous``."""
        before = self.current
        if before is not None and before.path != home.path:
            self._link("previous", before)
        self._link("current", home)

    def outdated(self) -> list[Home]:
        """Finished engines that are neither current nor previous."""
        kept = {home.path for home in (self.current, self.previous) if home is not None}
        return [home for home in self.homes() if home.complete and home.path not in kept]

    def _behind(self, link: str) -> Home | None:
        try:
            target = (self.path / link).readlink()
        except OSError:
            return None
        return Home(self.path / target.name)

    def _link(self, name: str, home: Home) -> None:
        files.replace_link(self.path / name, home.path.name)


def install_command(prefix: Path, may_write: Callable[[Path], bool] = lambda folder: os.access(folder, os.W_OK)) -> str:
    """The one command that installs an engine into ``prefix``, as this user would have to type it.

    ``may_write``: whether this user may write into a folder.
    """
    in_checkout = prefix.parent.parent / ".venv" / "bin" / "vllama"
    if prefix.parent.name == ".vllama" and in_checkout.is_file():  # not on the PATH, and knows its prefix
        return f"{in_checkout} engine install"
    command = "vllama engine install" if prefix == SYSTEM else f"vllama engine install --prefix {prefix}"
    # what we may not look into counts as missing
    existing = next((one for one in (prefix, *prefix.parents) if os.path.exists(one)), Path("/"))  # noqa: PTH110
    return command if may_write(existing) else f"sudo {command}"
