"""uv and pip behind one face: the command lines that make a venv and fill it from a lock, and what their errors mean.

Pure. Nothing here runs anything. uv is taken where there is one, because it fetches in parallel and goes on where it
was stopped; pip comes with every Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from vllama.engine.interpreter import Interpreter
from vllama.engine.pip_config import PipConfig

_QUIET_PIP: Final = ("--disable-pip-version-check", "--no-input")


@dataclass(frozen=True, slots=True)
class Command:
    """One call of an installer."""

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to ours: addresses with passwords are here, where ``ps`` does not show them."""
    stdin: str = ""


class Installer(Protocol):
    """What an installation needs. ``index``: a further one to look in."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def make_venv(self, interpreter: Interpreter, home: Path) -> Command:
        """Make a venv in ``home``, which is not there yet."""
        ...

    def offers(self, requirement: str, interpreter: Interpreter, index: str | None, *, hashed: bool) -> Command:
        """Succeeds where a wheel of ``requirement`` can be had; ``hashed``: it will be checked against a lock."""
        ...

    def from_locks(self, python: Path, locks: Iterable[Path], index: str | None) -> Command:
        """Install exactly what the locks name, each file checked against its hash; nothing is built."""
        ...

    def unhashed(self, python: Path, requirement: str, index: str | None) -> Command:
        """Install one wheel that no lock knows the hash of, without what it asks for.

        With ``index`` it comes from there: another index that has the same version is not asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class Uv:
    """The uv executable."""

    executable: str
    pip_config: PipConfig = field(default_factory=PipConfig)
    name: str = "uv"

    def make_venv(self, interpreter: Interpreter, home: Path) -> Command:
        """See ``Installer``."""
        return Command((self.executable, "venv", "--no-project", "--python", str(interpreter.path), str(home)))

    def offers(self, requirement: str, interpreter: Interpreter, index: str | None, *, hashed: bool) -> Command:
        """See ``Installer``."""
        command = ["compile", "-", "--quiet", "--no-header", "--no-deps", "--only-binary", ":all:"]
        command += ["--python", str(interpreter.path)]
        return self._pip(command, index, hashed=hashed, stdin=requirement + "\n")

    def from_locks(self, python: Path, locks: Iterable[Path], index: str | None) -> Command:
        """See ``Installer``."""
        command = ["install", "--python", str(python), "--require-hashes", "--no-deps", "--only-binary", ":all:"]
        return self._pip([*command, *_requirements(locks)], index)

    def unhashed(self, python: Path, requirement: str, index: str | None) -> Command:
        """See ``Installer``."""
        command = ["install", "--python", str(python), "--no-deps", "--only-binary", ":all:"]
        return self._pip([*command, requirement], index, hashed=False)

    def _pip(self, command: Sequence[str], index: str | None, *, hashed: bool = True, stdin: str = "") -> Command:
        argv = (
            *(self.executable, "pip", *command, "--color", "never", "--no-python-downloads"),
            *self.pip_config.uv_arguments(hashed=hashed),
        )
        return Command(argv, self.pip_config.uv_environment(index), stdin)


@dataclass(frozen=True, slots=True)
class Pip:
    """``python -m pip``; it reads its own configuration."""

    python: Path
    """An interpreter that has pip: asked what can be had. Filling a venv is done by that venv's own pip."""
    pip_config: PipConfig = field(default_factory=PipConfig)
    name: str = "pip"

    def make_venv(self, interpreter: Interpreter, home: Path) -> Command:
        """See ``Installer``."""
        return Command((str(interpreter.path), "-I", "-m", "venv", str(home)))

    def offers(self, requirement: str, interpreter: Interpreter, index: str | None, *, hashed: bool) -> Command:
        """See ``Installer``."""
        command = ["install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps", "--only-binary", ":all:"]
        # pip wants a target whenever it looks for another Python than its own; a dry run writes nothing there
        command += ["--python-version", interpreter.short, "--target", "nowhere", requirement]
        return self._pip(self.python, command, self._places(index, hashed=hashed))

    def from_locks(self, python: Path, locks: Iterable[Path], index: str | None) -> Command:
        """See ``Installer``."""
        command = ["install", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"]
        command += ["--progress-bar", "off", *_requirements(locks)]
        return self._pip(python, command, self._places(index, hashed=True))

    def unhashed(self, python: Path, requirement: str, index: str | None) -> Command:
        """See ``Installer``."""
        command = ["install", "--no-deps", "--only-binary", ":all:", "--no-compile", "--progress-bar", "off"]
        return self._pip(python, [*command, requirement], self._places(index, hashed=False))

    def _places(self, index: str | None, *, hashed: bool) -> dict[str, str]:
        """pip takes the best of all indexes: what no hash vouches for may only come from the one that was named."""
        if index and not hashed:
            return self.pip_config.pip_environment_of(index)
        return self.pip_config.pip_environment(index)

    @staticmethod
    def _pip(python: Path, command: Sequence[str], environ: Mapping[str, str]) -> Command:
        return Command((str(python), "-I", "-m", "pip", *command, *_QUIET_PIP), environ)


def _requirements(locks: Iterable[Path]) -> list[str]:
    return [part for lock in locks for part in ("--requirement", str(lock))]


_KNOWN: Final = (
    (r"No space left on device|os error 28", "the disk is full", "Make room, then run the same command again."),
    (
        r"hash mismatch|DO NOT MATCH THE HASHES",
        "a package is not the one that the lock file vouches for",
        "Look at the index or mirror that pip is configured with; nothing was installed.",
    ),
    (
        r"Read-only file system|[Pp]ermission denied",
        "the folder can't be written",
        "Run it as root, or choose another folder with --prefix.",
    ),
    (
        r"dns error|onnection (refused|reset)|timed out|Failed to (fetch|download)|NewConnectionError|name resolution",
        "packages can't be fetched",
        "Check the network and `pip config list`, then run the same command again: it goes on where it stopped.",
    ),
    (
        r"No matching distribution found|No solution found|no version of|not found in the package registry",
        "a package can't be had from where pip is configured to look",
        "Check `pip config list`: a mirror may lack it.",
    ),
)


def explain(lines: Sequence[str]) -> tuple[str, str]:
    """Why uv or pip failed, and what to do, from the last lines they said: ``(message, hint)``."""
    said = _last_error(lines)
    for pattern, message, hint in _KNOWN:
        if any(re.search(pattern, line) for line in lines):
            return f"{message}: {said}" if said else message, hint
    return said or "the installer failed without a word", "Run the same command again; it goes on where it stopped."


def _last_error(lines: Sequence[str]) -> str:
    for line in lines:
        text = re.sub(r"^\s*(ERROR|error|×|╰─▶|cause)\s*:?\s*", "", line)
        if text != line and text.strip():
            return text.strip()[:300]
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
