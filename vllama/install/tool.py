"""uv's command lines, which make a venv and fill it from a lock, and what its errors mean. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vllama.install.interpreter import Interpreter
from vllama.install.pip_config import PipConfig


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of uv, or of the new engine's interpreter."""

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to ours: addresses with passwords are here, where ``ps`` does not show them."""
    stdin: str = ""


@dataclass(frozen=True, slots=True)
class Uv:
    """The uv executable. ``index``: a further package index to look in."""

    executable: str
    pip_config: PipConfig = field(default_factory=PipConfig)
    """Where packages come from on this machine: uv does not read pip's configuration itself."""

    def make_venv(self, interpreter: Interpreter, home: Path) -> Invocation:
        """Make a venv in ``home``, which does not exist yet."""
        return Invocation((self.executable, "venv", "--no-project", "--python", str(interpreter.path), str(home)))

    def offers(self, requirement: str, interpreter: Interpreter, index: str | None, *, hashed: bool) -> Invocation:
        """Succeeds if a wheel of ``requirement`` is available; ``hashed``: it will be checked against a lock."""
        command = ["compile", "-", "--quiet", "--no-header", "--no-deps", "--only-binary", ":all:"]
        command += ["--python", str(interpreter.path)]
        return self._pip(command, index, hashed=hashed, stdin=requirement + "\n")

    def from_locks(self, python: Path, locks: Iterable[Path], index: str | None) -> Invocation:
        """Install exactly what the locks name. Each file is checked against its hash; nothing is built."""
        command = ["install", "--python", str(python), "--require-hashes", "--no-deps", "--only-binary", ":all:"]
        return self._pip([*command, *_requirements(locks)], index)

    def unhashed(self, python: Path, requirement: str, index: str | None) -> Invocation:
        """Install one wheel whose hash is in no lock, without its dependencies.

        With ``index`` it comes from there: another index that has the same version is not asked.
        """
        command = ["install", "--python", str(python), "--no-deps", "--only-binary", ":all:"]
        return self._pip([*command, requirement], index, hashed=False)

    def _pip(self, command: Sequence[str], index: str | None, *, hashed: bool = True, stdin: str = "") -> Invocation:
        argv = (
            *(self.executable, "pip", *command, "--color", "never", "--no-python-downloads"),
            *self.pip_config.uv_arguments(hashed=hashed),
        )
        return Invocation(argv, self.pip_config.uv_environment(index), stdin)


def _requirements(locks: Iterable[Path]) -> list[str]:
    return [part for lock in locks for part in ("--requirement", str(lock))]


_KNOWN: Final = (
    (r"No space left on device|os error 28", "the disk is full", "Make room, then run the same command again."),
    (
        r"hash mismatch",
        "a package is not the one that the lock file names",
        "Look at the index or mirror that pip is configured with; nothing was installed.",
    ),
    (
        r"Read-only file system|[Pp]ermission denied",
        "the folder can't be written",
        "Run it as root, or choose another folder with --prefix.",
    ),
    (
        r"dns error|onnection (refused|reset)|timed out|Failed to (fetch|download)",
        "packages can't be fetched",
        "Check the network and `pip config list`, then run the same command again: it goes on where it stopped.",
    ),
    (
        r"No solution found|no version of|not found in the package registry",
        "a package is missing where pip is configured to look",
        "Check `pip config list`: a mirror may lack it.",
    ),
)


def explain(lines: Sequence[str]) -> tuple[str, str]:
    """Why uv failed, and what to do, from its last lines: ``(message, hint)``."""
    said = _last_error(lines)
    for pattern, message, hint in _KNOWN:
        if any(re.search(pattern, line) for line in lines):
            return f"{message}: {said}" if said else message, hint
    return said or "the installer failed without a word", "Run the same command again; it goes on where it stopped."


def _last_error(lines: Sequence[str]) -> str:
    for line in lines:
        text = re.sub(r"^\s*(error|×|╰─▶|cause)\s*:?\s*", "", line)
        if text != line and text.strip():
            return text.strip()[:300]
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
