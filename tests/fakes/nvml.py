"""A scripted ``pynvml``: the functions that we call, on cards that a test sets up."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """What ``pynvml`` raises."""


@dataclass
class Card:
    """One GPU; None: it has no such sensor."""

    name: str | bytes = "NVIDIA Test 24GB"
    total: int = 24 << 30
    used: int = 10 << 30
    busy: int | None = 40
    milliwatts: int | None = 41_000
    celsius: int | None = 35
    millijoules: int | None = 1_000_000
    processes: dict[int, int | None] | None = field(default_factory=dict)


class Nvml:
    """Stands in for the module."""

    NVMLError = NVMLError

    def __init__(self, *cards: Card) -> None:
        self.cards = cards
        self.users = 0
        self.broken = False

    def nvmlInit(self) -> None:
        self._check()
        self.users += 1

    def nvmlShutdown(self) -> None:
        self.users -= 1
        self._check()

    def nvmlDeviceGetCount(self) -> int:
        self._check()
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        return self.cards[index]

    def nvmlDeviceGetName(self, card: Card) -> str | bytes:
        return card.name

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Any:
        return SimpleNamespace(total=card.total, used=card.used, free=card.total - card.used)

    def nvmlDeviceGetUtilizationRates(self, card: Card) -> Any:
        return SimpleNamespace(gpu=_known(card.busy), memory=0)

    def nvmlDeviceGetPowerUsage(self, card: Card) -> int:
        return _known(card.milliwatts)

    def nvmlDeviceGetTemperature(self, card: Card, sensor: int) -> int:
        assert sensor == 0
        return _known(card.celsius)

    def nvmlDeviceGetTotalEnergyConsumption(self, card: Card) -> int:
        return _known(card.millijoules)

    def nvmlDeviceGetComputeRunningProcesses(self, card: Card) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in _known(card.processes).items()]

    def _check(self) -> None:
        if self.broken:
            raise NVMLError("driver not loaded")


def _known(value: Any) -> Any:
    if value is None:
        raise NVMLError("not supported")
    return value
