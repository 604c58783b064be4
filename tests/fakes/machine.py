"""A machine with hardware and an engine that exist only on paper; for ``supervisor.machine.Machine``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vllama.config.load import Loaded
from vllama.errors import EngineNotInstalled
from vllama.fit.hardware import Hardware
from vllama.install.capabilities import Capabilities


@dataclass
class PaperMachine:
    """Change its fields to change what is found."""

    found: Hardware
    installed: Capabilities | None = None
    python: Path | None = None

    def hardware(self) -> Hardware:
        return self.found

    def engine(self, loaded: Loaded) -> Capabilities:
        if self.installed is None:
            raise EngineNotInstalled("no vLLM engine is installed")
        return self.installed

    def interpreter(self, loaded: Loaded) -> Path | None:
        return self.python
