"""Looks at the machine from time to time, and keeps what it saw for the metrics and the status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vllama.disk import Reads
from vllama.observe.machine import Machine
from vllama.observe.news import EngineSeen
from vllama.observe.nvml import GpuUse
from vllama.observe.seldom import Seldom

PAUSE: Final = 5.0
"""Seconds between two looks."""
_WITHIN: Final = 20.0
"""Seconds after which a look is given up: a driver that hangs may never answer."""
_LOG: Final = logging.getLogger("vllama")

Look = Callable[[Sequence[EngineSeen]], Machine]
Taker = Callable[[Machine, Sequence[EngineSeen]], Awaitable[object]]


class Engines(Protocol):
    """What we ask of the supervisor."""

    def snapshot(self) -> Sequence[EngineSeen]:
        """All engines that are not absent."""
        ...


class MachineWatch(Collector):
    """One in a service; belongs to its event loop, and looks in a thread."""

    def __init__(self, engines: Engines, look: Look, *takers: Taker) -> None:
        """``look``: blocks; called in a thread. ``takers``: get each look, with the engines of that moment."""
        self._engines = engines
        self._takers = takers
        self._look = look
        self._reads = Reads()
        self._seldom = Seldom(_LOG, pause=3600)
        self.latest: Machine | None = None
        """None before the first look, and while the machine can't be looked at."""

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PAUSE)

    async def look(self) -> None:
        """Look once."""
        engines = tuple(self._engines.snapshot())
        try:
            self.latest = await self._reads.done("machine", lambda: self._look(engines), _WITHIN)
            for take in self._takers:
                await take(self.latest, engines)
        except Exception as error:  # noqa: BLE001 - what looks must not end what serves
            self.latest = None
            self._seldom.warn("look", "what the machine uses can't be seen: %s", error or type(error).__name__)

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        if (machine := self.latest) is not None:
            yield from _memory(machine)
            yield from _engines(machine)
            yield from _gpus(machine)


def _memory(machine: Machine) -> Iterator[Metric]:
    yield GaugeMetricFamily("vllama_memory_total_bytes", "RAM, of the machine or of our limit.", value=machine.total)
    yield GaugeMetricFamily("vllama_memory_free_bytes", "RAM that can be taken without swapping.", value=machine.free)


def _engines(machine: Machine) -> Iterator[Metric]:
    cpu = CounterMetricFamily("vllama_engine_cpu_seconds", "CPU time of the engine's processes.", labels=("model",))
    resident = GaugeMetricFamily("vllama_engine_resident_bytes", "RAM of the engine's processes.", labels=("model",))
    on_gpu = GaugeMetricFamily(
        "vllama_engine_gpu_memory_bytes", "Memory of a GPU that the engine holds.", labels=("model", "gpu")
    )
    for engine in machine.engines:
        cpu.add_metric((engine.model,), engine.cpu_seconds)
        resident.add_metric((engine.model,), engine.resident)
        for index, held in engine.gpus.items():
            on_gpu.add_metric((engine.model, str(index)), held)
    yield from (cpu, resident, on_gpu)


def _gpus(machine: Machine) -> Iterator[Metric]:
    info = GaugeMetricFamily("vllama_gpu_info", "1 for each GPU, with its name.", labels=("gpu", "name"))
    for gpu in machine.gpus:
        info.add_metric((str(gpu.index), gpu.name), 1)
    families: dict[str, tuple[str, Callable[[GpuUse], float | None]]] = {
        "memory_total_bytes": ("Memory of the GPU.", lambda gpu: gpu.total),
        "memory_used_bytes": ("Memory that all programs hold.", lambda gpu: gpu.used),
        "memory_other_bytes": ("Memory that programs other than our engines hold.", machine.other),
        "utilization_ratio": ("Share of the last moment in which the GPU computed.", lambda gpu: gpu.utilization),
        "power_watts": ("Power that the GPU takes now.", lambda gpu: gpu.power),
        "temperature_celsius": ("Temperature of the chip.", lambda gpu: gpu.temperature),
    }
    if machine.gpus:
        yield info
    for name, (text, value) in families.items():
        family = GaugeMetricFamily(f"vllama_gpu_{name}", text, labels=("gpu",))
        for gpu in machine.gpus:
            if (found := value(gpu)) is not None:
                family.add_metric((str(gpu.index),), found)
        if family.samples:
            yield family
