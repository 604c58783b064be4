"""What was found on this machine. Pure: ``service.examination`` looks, and ``service.checks`` judges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vllama.config.exposure import Exposure
from vllama.engine.compilation import CodeStart
from vllama.fit.hardware import Hardware

Occupant = Literal["nobody", "vllama", "ollama", "other"]
PackageManager = Literal["dnf", "apt", ""]


@dataclass(frozen=True, slots=True)
class EngineFact:
    """The current engine, or why it can't be used."""

    version: str = ""
    backend: str = ""
    python: str = ""
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory that the service uses, or the nearest one above that exists."""

    purpose: str
    path: Path
    free: int
    """Bytes."""
    writable: bool
    strange: str = ""
    """The name of an entry that has another owner than the directory; empty if there is none."""
    owner: str = ""
    """The owner of the directory, if it has such an entry."""


@dataclass(frozen=True, slots=True)
class PortFact:
    """Who has our port."""

    where: str
    """``127.0.0.1:11434``."""
    occupant: Occupant
    problem: str = ""
    """Why we could not listen there; empty when we could."""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ModelFact:
    """A configured model; ``problem`` is empty when it can be used."""

    name: str
    size: int = 0
    """Bytes on disk."""
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """Everything that was looked at."""

    python: tuple[int, int, int]
    user: str
    config_path: str
    config_problems: tuple[str, ...]
    engine: EngineFact
    engine_pythons: tuple[str, ...]
    """Interpreters on PATH that an engine could be made with."""
    install_command: str
    hardware: Hardware
    nvidia_card: bool
    c_compiler: str
    """Path of gcc or clang, which Triton runs for a GPU; empty without one."""
    cxx_compiler: str
    """Path of g++, which torch's inductor runs for a CPU; empty without one."""
    libnuma: bool
    """The loader finds libnuma, with which vLLM's CPU build is linked."""
    compiled: int
    """How many compiled models are in the cache; each once for each way in which it is started."""
    places: tuple[Folder, ...]
    port: PortFact
    models: tuple[ModelFact, ...]
    hidden_service: bool
    """A service runs here that this user may not look at: its engine, directories and models were not looked for."""
    packages: PackageManager
    """The command that installs packages here, empty if it is neither of them."""
    load: float = 0.0
    """Processes that want a core, on average over the last minute."""
    exposures: tuple[Exposure, ...] = ()
    starts: tuple[CodeStart, ...] = ()
    """How each model got its compiled code when it was last started."""
