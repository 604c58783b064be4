"""The machine's hardware as a value; ``fit.gpu`` makes it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from vllama.config.schema import GpuClass

HardwareKind = Literal["cpu", "cuda", "rocm"]
_GIB: Final = 1 << 30
# A card with less than this many GiB belongs to the class; cards report a little less than they are sold with.
_CLASSES: Final[tuple[tuple[int, GpuClass], ...]] = ((20, "16"), (28, "24"), (60, "32"), (100, "80"))


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device, as the driver reports it."""

    index: int
    name: str
    total: int
    """Bytes."""
    free: int
    """Bytes, when we looked."""
    capability: tuple[int, int] | None = None
    """CUDA compute capability: (8, 0) A100, (8, 9) Ada, (9, 0) Hopper, (12, 0) RTX 50; None when unknown."""
    kept: int = 0
    """Bytes that engines of ours hold and would give back if they were unloaded."""
    display: bool = False
    """A monitor is attached: the desktop's programs take memory of it as well."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What an engine may use."""

    kind: HardwareKind
    cores: tuple[int, ...]
    """CPU numbers we may run on."""
    ram_total: int
    """Bytes, of the machine or of our cgroup's limit."""
    ram_available: int
    """Bytes that can be taken without swapping, when we looked."""
    gpus: tuple[Gpu, ...] = ()
    ram_kept: int = 0
    """Bytes of memory that engines of ours would give back if they were unloaded."""
    ram_promised: int = 0
    """Bytes that count as available, but that running engines may take any time (a KV cache that is not full yet)."""
    ram_left: int | None = None
    """Bytes that are left of what engines may take together (``engine.max_ram``); None: no limit was set."""
    ram_most: int | None = None
    """What would be left of it if the engines that may be evicted were gone."""
    swap_free: int = 0
    """Bytes of swap space that are free."""
    bf16: bool = True
    """Whether the CPU is fast with 16-bit floats. vLLM's build for x86 has kernels for them with AVX-512 only; without,
    each number of a product is a scalar loop of PyTorch's, five times slower than float32."""
    first_threads: tuple[int, ...] = ()
    """CPU numbers as well, but only the first hardware thread of each core; empty: which belong together is unknown."""

    @property
    def computing(self) -> tuple[int, ...]:
        """The CPUs to compute on: one of each physical core, as vLLM chooses itself on x86.

        Two hardware threads of a core share its arithmetic units, which one thread can keep busy. The other one is
        left to the processes that pass tokens on. Where they interrupt a thread that computes, all others wait for it.
        """
        return self.first_threads or self.cores

    cpu: str = ""
    """The processor's name and the kinds of instructions it has: machine code of another one may not run on it."""

    @property
    def gpu_class(self) -> GpuClass:
        """Which overlay of a profile applies, by the smallest GPU's memory."""
        if self.kind == "cpu" or not self.gpus:
            return "cpu"
        smallest = min(gpu.total for gpu in self.gpus)
        return next((name for limit, name in _CLASSES if smallest < limit * _GIB), "141")

    @property
    def fp8(self) -> bool:
        """Whether all GPUs compute with 8-bit floats (compute capability 8.9 and above); unknown counts as yes."""
        return all(gpu.capability is None or gpu.capability >= (8, 9) for gpu in self.gpus)

    def visible(self, numbers: str) -> Hardware:
        """With the GPUs of ``CUDA_VISIBLE_DEVICES`` only, as far as it names them by number."""
        wanted = [part.strip() for part in numbers.split(",")]
        if not all(part.isdecimal() for part in wanted):
            return self
        return replace(self, gpus=tuple(gpu for gpu in self.gpus if str(gpu.index) in wanted))

    def limited(self, most: int, held: Iterable[tuple[int, bool]]) -> Hardware:
        """With a limit on what engines in RAM take together; ``held``: bytes of each one there is, and whether it is
        evicted when another needs its memory."""
        sizes = tuple(held)
        left = most - sum(size for size, _ in sizes)
        return replace(self, ram_left=left, ram_most=left + sum(size for size, evicted in sizes if evicted))

    def holding(self, engines: Iterable[tuple[int, int]], max_ram: int | None = None) -> Hardware:
        """With engines of ours, each as (all its bytes, those of GPUs), that could be unloaded to free memory."""
        sizes = tuple(engines)
        in_ram, on_gpus = [size - vram for size, vram in sizes], sum(vram for _, vram in sizes)
        gpus = []
        for gpu in self.gpus:
            kept = min(on_gpus, gpu.total - gpu.free)
            on_gpus -= kept
            gpus.append(replace(gpu, kept=kept))
        found = replace(self, gpus=tuple(gpus), ram_kept=sum(in_ram))
        return found if max_ram is None else found.limited(max_ram, ((size, True) for size in in_ram))

    def emptied(self) -> Hardware:
        """The hardware without the engines that may be evicted."""
        return replace(
            self,
            ram_available=min(self.ram_available - self.ram_promised + self.ram_kept, self.ram_total),
            ram_kept=0,
            ram_promised=0,
            ram_left=self.ram_most,
            gpus=tuple(replace(gpu, free=min(gpu.free + gpu.kept, gpu.total), kept=0) for gpu in self.gpus),
        )

    def for_backend(self, backend: HardwareKind) -> Hardware:
        """As an engine built for ``backend`` sees it: the CPU build sees no GPU."""
        return replace(self, kind="cpu", gpus=()) if backend == "cpu" else replace(self, kind=backend)


_IMAGINED = re.compile(r"(?:(\d{1,2})x)?(\d{1,4}(?:\.\d+)?)(?:Gi?B?)?", re.IGNORECASE)
_DRIVER: Final = 400 << 20
"""What an idle card's driver holds."""


def imagined(text: str) -> tuple[Gpu, ...] | None:
    """The GPUs that ``24G`` or ``2x80G`` speaks of, empty and of a new kind; None when it speaks of none."""
    match = _IMAGINED.fullmatch(text.strip())
    if match is None or not (total := int(float(match[2]) * _GIB)) > _DRIVER:
        return None
    return tuple(Gpu(index, f"GPU of {match[2]} GiB", total, total - _DRIVER) for index in range(int(match[1] or 1)))


def cpu_list(cores: Iterable[int]) -> str:
    """``(0, 1, 2, 5)`` as ``0-2,5``."""
    runs: list[list[int]] = []
    for core in sorted(set(cores)):
        if runs and core == runs[-1][1] + 1:
            runs[-1][1] = core
        else:
            runs.append([core, core])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
