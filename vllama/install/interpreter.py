"""Which Python the engine's venv is made from: what there is, and the choice. Pure.

The world is asked through two functions that are parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama.errors import InstallFailed
from vllama.install.versions import PYTHONS

Ask = Callable[[Sequence[str]], str | None]
"""Run a command: its standard output, or None where it can't be run or fails."""
Which = Callable[[str], str | None]
"""``child.which``."""

_QUESTION: Final = (
    "import json, os, platform, sys, sysconfig; print(json.dumps({"
    "'path': os.path.realpath(sys.executable), 'version': sys.version_info[:2], "
    "'implementation': platform.python_implementation(), "
    "'threaded': bool(sysconfig.get_config_var('Py_GIL_DISABLED'))}))"
)

SUPPORTED: Final = f"{'.'.join(map(str, PYTHONS[-1]))} to {'.'.join(map(str, PYTHONS[0]))}"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python outside any venv: the file itself, behind every symlink and shim.

    Not ``/usr/bin/python3``: a venv made from that name turns into another Python's at the next upgrade.
    """

    path: Path
    version: tuple[int, int]

    @property
    def short(self) -> str:
        """``3.11``."""
        return f"{self.version[0]}.{self.version[1]}"


def inspect(command: str, ask: Ask) -> Interpreter | str:
    """The interpreter behind a command, or why vLLM can't use it, as the end of a sentence about it."""
    said = ask([command, "-I", "-c", _QUESTION])
    if said is None:
        return "does not run"
    try:
        answer = json.loads(said)
        version = (int(answer["version"][0]), int(answer["version"][1]))
        path, implementation, threaded = Path(answer["path"]), answer["implementation"], answer["threaded"]
    except (ValueError, KeyError, TypeError, IndexError):
        return "is not a Python that answers"
    if implementation != "CPython" or threaded:
        return f"is {implementation}{' without the GIL' if threaded else ''}; vLLM needs a standard CPython"
    if version not in PYTHONS:
        return f"is Python {version[0]}.{version[1]}; vLLM needs {SUPPORTED}"
    return Interpreter(path, version)


def candidates(ask: Ask, which: Which, own: str) -> list[Interpreter]:
    """Every suitable Python on PATH and ``own``, the one we run on: the newest first, each once."""
    names = [f"python{major}.{minor}" for major, minor in PYTHONS] + ["python3"]
    commands = [command for name in names if (command := which(name))] + [own]
    return _distinct(found for command in commands if isinstance(found := inspect(command, ask), Interpreter))


def named(python: str, ask: Ask, which: Which) -> Interpreter:
    """The interpreter that a person asked for by ``--python``: a path, a command, or ``3.12``.

    Raises:
        InstallFailed: it can't be used; says why.
    """
    command = which(f"python{python}") or python if python[:1].isdigit() else which(python) or python
    found = inspect(command, ask)
    if isinstance(found, str):
        raise InstallFailed(f"--python {python} {found}", hint=f"Name a Python {SUPPORTED}, or leave --python out.")
    return found


def _distinct(found: Iterable[Interpreter]) -> list[Interpreter]:
    return sorted(dict.fromkeys(found), key=lambda one: one.version, reverse=True)
