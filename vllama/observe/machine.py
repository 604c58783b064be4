"""What the machine and the engines on it use at one moment: memory, GPUs, CPU time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import psutil

from vllama.engine.session import CpuMeter, Member, members
from vllama.fit.cgroups import group_limits
from vllama.fit.gpu import detect, usable_cores
from vllama.fit.hardware import Gpu
from vllama.observe.joules import Counter, Reading, gpu_device
from vllama.observe.news import EngineSeen
from vllama.observe.nvml import GpuUse
from vllama.observe.rapl import POWERCAP, read_rapl

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PROC: Final = Path("/proc")
_SELDOM: Final = 60.0
"""Seconds between two looks at GPUs by a program, which takes a moment of the CPU."""


@dataclass(frozen=True, slots=True)
class EngineUse:
    """What one engine uses."""

    key: str
    model: str
    """Short name of the model that loaded it."""
    cpu_seconds: float
    """CPU time of all its processes since its start."""
    resident: int
    """Bytes of RAM; what its processes share counts once, as far as it is a file's."""
    gpus: Mapping[int, int] = field(default_factory=dict)
    """Bytes on each GPU; empty where that is unknown."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine at one moment; sizes in bytes, within the limits of our control groups."""

    cores: int
    total: int
    free: int
    """What can be taken without swapping."""
    gpus: tuple[GpuUse, ...] = ()
    engines: tuple[EngineUse, ...] = ()
    energy: Reading = field(default_factory=lambda: Reading(0.0))
    """What the meters of energy show; ``perf_counter`` seconds."""

    @property
    def used(self) -> int:
        """By all programs."""
        return max(self.total - self.free, 0)

    @property
    def held(self) -> int:
        """RAM of the engines."""
        return sum(engine.resident for engine in self.engines)

    def other(self, gpu: GpuUse) -> int | None:
        """Bytes of a GPU that programs other than our engines hold; None where the driver does not say."""
        if gpu.processes is None:
            return None
        return max(gpu.used - sum(engine.gpus.get(gpu.index, 0) for engine in self.engines), 0)


class Gpus(Protocol):
    """Where GPUs are asked; ``nvml.Nvml``."""

    def look(self) -> tuple[GpuUse, ...] | None:
        """All GPUs; None where nothing can be said."""
        ...


class Looker:
    """Looks at this machine. Blocks, so use it in a thread, one call at a time."""

    def __init__(
        self,
        gpus: Gpus,
        detected: Callable[[], Sequence[Gpu]] = lambda: detect().gpus,
        powercap: Path = POWERCAP,
    ) -> None:
        """``detected``: the GPUs where ``gpus`` knows nothing. ``powercap``: the kernel's meters of energy."""
        self._gpus = gpus
        self._detected = detected
        self._powercap = powercap
        self._meters: dict[int, CpuMeter] = {}
        self._coarse: tuple[GpuUse, ...] = ()
        self._coarse_until = 0.0

    def look(self, engines: Iterable[EngineSeen]) -> Machine:
        """The machine with these engines on it."""
        limits, memory = group_limits(), psutil.virtual_memory()
        free = memory.available
        if limits.memory is not None:
            free = min(free, max(limits.memory - limits.used, 0))
        gpus = self._gpus.look()
        energy = Reading(time.perf_counter(), read_rapl(self._powercap) | dict(_energy(gpus or ())))
        gpus = self._seldom() if gpus is None else gpus
        total = min(memory.total, limits.memory or memory.total)
        return Machine(usable_cores(), total, free, gpus, self._engines(engines, gpus), energy)

    def _engines(self, engines: Iterable[EngineSeen], gpus: Sequence[GpuUse]) -> tuple[EngineUse, ...]:
        running = [(engine, engine.pid) for engine in engines if engine.pid is not None]
        sessions: dict[int, list[Member]] = {pid: [] for _, pid in running}
        for member in members(*sessions) if sessions else ():
            sessions[member.session].append(member)
        self._meters = {pid: self._meters.get(pid) or CpuMeter() for pid in sessions}
        return tuple(self._engine(engine, pid, sessions[pid], gpus) for engine, pid in running)

    def _engine(self, engine: EngineSeen, pid: int, found: Sequence[Member], gpus: Sequence[GpuUse]) -> EngineUse:
        pids = frozenset(member.pid for member in found)
        held = {gpu.index: gpu.held_by(pids) for gpu in gpus}
        return EngineUse(
            key=engine.model.engine_key,
            model=engine.model.name.short,
            cpu_seconds=self._meters[pid].count(found),
            resident=self._resident(pids),
            gpus={index: size for index, size in held.items() if size},
        )

    def _resident(self, pids: Iterable[int]) -> int:
        """By ``/proc/PID/statm``: the exact sum would make the kernel walk through all their memory."""
        own, shared = 0, 0
        for pid in pids:
            with suppress(OSError, ValueError, IndexError):
                words = (_PROC / str(pid) / "statm").read_text().split()
                own += int(words[1]) - int(words[2])
                shared = max(shared, int(words[2]))
        return (own + shared) * _PAGE

    def _seldom(self) -> tuple[GpuUse, ...]:
        """Without NVML only their memory is known."""
        now = time.monotonic()
        if now >= self._coarse_until:
            self._coarse_until = now + _SELDOM
            self._coarse = tuple(
                GpuUse(gpu.index, gpu.name, gpu.total, gpu.total - gpu.free, gpu.free) for gpu in self._detected()
            )
        return self._coarse


def _energy(gpus: Iterable[GpuUse]) -> Iterator[tuple[str, Counter]]:
    for gpu in gpus:
        if gpu.joules is not None:
            device = gpu_device(gpu.index)
            yield device, Counter(device, gpu.joules)
