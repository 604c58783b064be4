"""What the planner sees of the machine: its hardware, and the installed engine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from vllama.config.load import Loaded
from vllama.fit.gpu import detect
from vllama.fit.hardware import Hardware
from vllama.install.capabilities import Capabilities
from vllama.install.engines import interpreter, locate


class Machine(Protocol):
    """Each call looks again, and blocks."""

    def hardware(self) -> Hardware:
        """GPUs, cores and memory; free memory is a snapshot."""
        ...

    def engine(self, loaded: Loaded) -> Capabilities:
        """The engine to run; raises EngineNotInstalled. A new one is asked what it can do, which takes seconds."""
        ...

    def interpreter(self, loaded: Loaded) -> Path | None:
        """The interpreter of that engine; None where none can be used."""
        ...


class ThisMachine:
    """The real one."""

    def hardware(self) -> Hardware:
        """See ``Machine``."""
        return detect()

    def engine(self, loaded: Loaded) -> Capabilities:
        """See ``Machine``."""
        return locate(loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache)

    def interpreter(self, loaded: Loaded) -> Path | None:
        """See ``Machine``."""
        return interpreter(loaded.config.engine.python, loaded.engine_prefix)
