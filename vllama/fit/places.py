"""The places where an engine can run (RAM or GPUs), and how much memory each has for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vllama.fit.hardware import Gpu, Hardware

_RAM_MARGIN: Final = 0.03
"""Share of all memory that is left to the kernel and other programs."""
_GPU_MARGIN: Final = 0.02
"""Share of a GPU's memory that the driver takes in pieces without reporting them."""


@dataclass(frozen=True, slots=True)
class Place:
    """RAM, or GPUs that share one engine. Bytes are those of one device, the tightest."""

    gpus: tuple[int, ...]
    """Numbers of the GPUs; empty: RAM."""
    total: int
    free: int
    """What a new engine may take now."""
    reachable: int
    """What it could take if the engines that may be evicted were gone."""
    share: int
    """Over how many devices the engine is spread."""

    @property
    def on_gpu(self) -> bool:
        """Whether it is memory of GPUs."""
        return bool(self.gpus)


def find_place(hardware: Hardware, *, share: int, cap: float) -> Place:
    """The emptiest GPUs, or RAM without GPUs.

    ``share``: devices that the engine is spread over; ``cap``: part of a GPU's memory that engines may use.
    """
    if hardware.kind == "cpu":
        margin = int(hardware.ram_total * _RAM_MARGIN)
        free = hardware.ram_available - hardware.ram_promised - margin
        reachable = min(free + hardware.ram_kept, hardware.ram_total - margin)
        if hardware.ram_left is not None and hardware.ram_most is not None:
            free, reachable = min(free, hardware.ram_left), min(reachable, hardware.ram_most)
        return Place((), hardware.ram_total, free, reachable, 1)
    emptiest = sorted(hardware.gpus, key=lambda gpu: (-gpu.free, gpu.index))[:share]
    return Place(
        gpus=tuple(sorted(gpu.index for gpu in emptiest)),
        total=min(gpu.total for gpu in emptiest),
        free=min(_free(gpu, cap) for gpu in emptiest),
        reachable=min(_reachable(gpu, cap) for gpu in emptiest),
        share=share,
    )


def _free(gpu: Gpu, cap: float) -> int:
    return min(gpu.free - int(gpu.total * _GPU_MARGIN), int(gpu.total * cap) - gpu.kept)


def _reachable(gpu: Gpu, cap: float) -> int:
    return min(gpu.free + gpu.kept - int(gpu.total * _GPU_MARGIN), int(gpu.total * cap))
