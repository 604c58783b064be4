"""What an engine is made from on this machine: the Python, uv with its settings, and on the CPU the torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from vllama.errors import InstallFailed
from vllama.install import interpreter as pythons
from vllama.install import lock as lockfile
from vllama.install.interpreter import Interpreter
from vllama.install.locks import LockName, shipped
from vllama.install.pip_config import parse_pip_config
from vllama.install.runner import Runner
from vllama.install.tool import Uv
from vllama.install.versions import PUBLIC_TORCH_COST, TORCH, Backend

CPU_TORCH: Final = f"torch=={TORCH}+cpu"


class Audience(Protocol):
    """Shows how an installation goes."""

    def step(self, percent: float, doing: str) -> None:
        """How far the whole is, 0 to 100, and the current step. Called at least once a second."""
        ...

    def note(self, text: str) -> None:
        """A line that stays: a choice and its reason, or something unexpected."""
        ...


@dataclass(frozen=True, slots=True)
class WantedEngine:
    """What was asked for."""

    prefix: Path
    backend: Backend
    python: str | None = None
    """None: the newest suitable one."""
    torch_index: str | None = None
    """A further index to look for ``torch+cpu`` in."""
    force: bool = False
    """Install again although the same engine is installed."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """All that must be known before the first file is written."""

    python: Interpreter
    uv: Uv
    locks: tuple[LockName, ...]
    unhashed: str = ""
    """A torch requirement for which no lock has the hash of this Python's wheel."""


def gather(wish: WantedEngine, runner: Runner, audience: Audience, uv: str | None) -> Ingredients:
    """Look around and choose. ``uv``: its executable, where there is one.

    Raises:
        InstallFailed: no Python, or no uv.
    """
    audience.step(0, "looking for a Python")
    if wish.python:
        found = [pythons.named(wish.python, runner.ask, runner.which)]
    else:
        found = pythons.candidates(runner.ask, runner.which, sys.executable)
    if not found:
        raise InstallFailed(
            f"no Python that vLLM runs on was found ({pythons.SUPPORTED})",
            hint="Install one (dnf install python3.13) or name it with --python.",
        )
    tool = _uv(found, runner, uv)
    if wish.backend == "cuda":
        return Ingredients(found[0], tool, ("cuda",))
    # On the CPU a Python is only as good as its torch: an older one with a `+cpu` wheel beats a newer one without.
    for python in found:
        audience.step(1, f"looking for {CPU_TORCH} for Python {python.short}")
        hashed = _hash_known(python)
        command = tool.offers(CPU_TORCH, python, wish.torch_index, hashed=hashed)
        if runner.ask(command.argv, command.stdin, command.environ) is None:
            continue
        if hashed:
            return Ingredients(python, tool, ("cpu", "torch-cpu"))
        audience.note(
            f"the lock does not know the hash of {CPU_TORCH} for Python {python.short}: this one package is taken "
            f"unchecked, as {'--torch-index' if wish.torch_index else 'the index'} has it"
        )
        return Ingredients(python, tool, ("cpu", "torch-cpu"), unhashed=CPU_TORCH)
    audience.note(
        f"no {CPU_TORCH} can be had from where pip is configured to look; taking torch=={TORCH} of the public index, "
        f"which works as well but is a CUDA build ({PUBLIC_TORCH_COST}). --torch-index URL names a further index"
    )
    return Ingredients(found[0], tool, ("cpu", "torch-public"))


def _hash_known(python: Interpreter) -> bool:
    torch = next(pin for pin in lockfile.parse(shipped("torch-cpu")) if pin.name == "torch")
    return lockfile.vouches_for(torch, python.short, os.uname().machine)


def _uv(found: Sequence[Interpreter], runner: Runner, executable: str | None) -> Uv:
    """uv with the configuration of the first pip on this machine, if there is one."""
    if executable is None:
        raise InstallFailed("uv was not found", hint="Install it: dnf install uv, or pip install uv")
    for python in (Path(sys.executable), *(one.path for one in found)):
        listing = runner.ask([str(python), "-I", "-m", "pip", "config", "list"])
        if listing is not None:
            return Uv(executable, parse_pip_config(listing))
    return Uv(executable)
