"""The engine that `make engine` installed, seen from inside a lab as if root had installed it there."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from tests.installed_engine import installed_engine
from tests.system.lab import Lab
from vllama.errors import EngineNotInstalled

_PREFIX: Final = "/var/lib/vllama-engine"
_LIBRARIES: Final = "/opt/engine/lib"
_INTERPRETER: Final = "/opt/engine/python"


class RealEngine:
    """Its gigabytes are bound into the lab, read-only; the interpreter's home of this machine may be hidden there."""

    def __init__(self, python: Path) -> None:
        self._venv = python.parents[1]
        self._base = python.resolve()
        self._home = f"{_PREFIX}/{self._venv.name}"

    @classmethod
    def find(cls) -> Self | None:
        """None where `make engine` was not run."""
        try:
            return cls(installed_engine().python)
        except EngineNotInstalled:
            return None

    def binds(self) -> dict[Path, str]:
        """For ``Lab(binds=...)``."""
        return {self._venv / "lib": _LIBRARIES, self._base.parents[1]: _INTERPRETER}

    def lay_out(self, lab: Lab) -> None:
        """Make the rest of the venv around what is bound."""
        config = f"home = {_INTERPRETER}/bin\ninclude-system-site-packages = false\n"
        lab.write(f"{self._home}/pyvenv.cfg", config)
        lab.run("mkdir", "-p", f"{self._home}/bin")
        lab.run("ln", "-s", _LIBRARIES, f"{self._home}/lib")
        lab.run("ln", "-s", f"{_INTERPRETER}/bin/{self._base.name}", f"{self._home}/bin/python")
        lab.write("/etc/ld.so.conf.d/engine.conf", f"{_INTERPRETER}/lib\n")
        lab.run("ldconfig")
        lab.write(f"{self._home}/capabilities.json", (self._venv / "capabilities.json").read_text())
        lab.run("ln", "-s", self._venv.name, f"{_PREFIX}/current")
