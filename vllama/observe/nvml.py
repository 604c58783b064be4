"""Asks NVIDIA's driver what its GPUs do, by NVML (the extra ``gpu``).

The library stays initialised: without a user the driver unloads the state of a GPU, its count of energy included.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

T = TypeVar("T")
_CELSIUS: Final = 0
"""NVML_TEMPERATURE_GPU: the sensor of the chip."""


@dataclass(frozen=True, slots=True)
class GpuUse:
    """One GPU at one moment. None: the driver does not say."""

    index: int
    """As the driver counts them, which is how engines are told which to use."""
    name: str
    total: int
    """Bytes."""
    used: int
    free: int
    utilization: float | None = None
    """Share of the last moment in which it computed, 0 to 1."""
    power: float | None = None
    """Watts."""
    temperature: float | None = None
    """Degrees Celsius."""
    joules: float | None = None
    """Used since the driver was loaded."""
    processes: Mapping[int, int] | None = field(default=None)
    """Bytes by process id."""

    def held_by(self, pids: frozenset[int]) -> int | None:
        """Bytes that these processes hold; None where the driver does not say."""
        return None if self.processes is None else sum(self.processes.get(pid, 0) for pid in pids)


class Nvml:
    """Blocks: use it in a thread, one call at a time."""

    def __init__(self, library: Any = None) -> None:
        """``library``: a module with the functions of ``pynvml``; None: that one, if it is installed."""
        self._library = library if library is not None else _installed()
        self._open = False

    def look(self) -> tuple[GpuUse, ...] | None:
        """All GPUs; None where NVML or the driver is missing."""
        nvml = self._library
        if nvml is None:
            return None
        try:
            if not self._open:
                nvml.nvmlInit()
                self._open = True
            return tuple(_seen(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        except nvml.NVMLError:  # no driver, or it was reset or replaced: begin again next time
            self.close()
            return None

    def close(self) -> None:
        """Let the driver go."""
        if self._open:
            self._open = False
            with suppress(self._library.NVMLError):
                self._library.nvmlShutdown()


def _installed() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def _seen(nvml: Any, index: int) -> GpuUse:
    def ask(question: Callable[..., T], *more: Any) -> T | None:
        """What this GPU answers; None where it has no such sensor."""
        try:
            return question(handle, *more)
        except nvml.NVMLError:
            return None

    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name, memory = nvml.nvmlDeviceGetName(handle), nvml.nvmlDeviceGetMemoryInfo(handle)
    rates = ask(nvml.nvmlDeviceGetUtilizationRates)
    return GpuUse(
        index=index,
        name=name.decode() if isinstance(name, bytes) else str(name),
        total=int(memory.total),
        used=int(memory.used),
        free=int(memory.free),
        utilization=None if rates is None else rates.gpu / 100,
        power=_thousandth(ask(nvml.nvmlDeviceGetPowerUsage)),
        temperature=ask(nvml.nvmlDeviceGetTemperature, _CELSIUS),
        joules=_thousandth(ask(nvml.nvmlDeviceGetTotalEnergyConsumption)),
        processes=_processes(ask(nvml.nvmlDeviceGetComputeRunningProcesses)),
    )


def _processes(found: Any) -> dict[int, int] | None:
    """None as well where one holds memory that the driver can't count."""
    if found is None or any(process.usedGpuMemory is None for process in found):
        return None
    return {int(process.pid): int(process.usedGpuMemory) for process in found}


def _thousandth(value: float | None) -> float | None:
    return None if value is None else value / 1000
