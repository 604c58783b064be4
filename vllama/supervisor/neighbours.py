"""The machine as a new engine finds it: with the memory that running engines hold, or may still take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import psutil

from vllama.engine.spec import EngineSpec
from vllama.fit.hardware import Gpu, Hardware


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An engine that lives while another one is planned."""

    spec: EngineSpec
    pid: int
    pinned: bool
    """It is never evicted, so its memory never comes back."""
    asleep: bool = False


def beside(hardware: Hardware, neighbours: Sequence[Neighbour], max_ram: int | None = None) -> Hardware:
    """``hardware`` with what the neighbours keep. Looks at their processes.

    ``max_ram``: bytes that engines in RAM may take together, each counted as it was planned.
    """
    on_cpu = [(n, _resident(n.pid)) for n in neighbours if not n.spec.gpus]
    # a KV cache in RAM is taken page by page, as it is filled
    promised = [min(n.spec.kv_cache, max(n.spec.size - used, 0)) for n, used in on_cpu]
    kept = sum(min(n.spec.size, used + rest) for (n, used), rest in zip(on_cpu, promised, strict=True) if not n.pinned)
    gpus = tuple(replace(gpu, kept=sum(_held(gpu, neighbours))) for gpu in hardware.gpus)
    found = replace(hardware, gpus=gpus, ram_kept=kept, ram_promised=sum(promised))
    if max_ram is None:
        return found
    return found.limited(max_ram, ((n.spec.size, not n.pinned) for n, _ in on_cpu))


def _held(gpu: Gpu, neighbours: Sequence[Neighbour]) -> Iterator[int]:
    for neighbour in neighbours:
        if gpu.index in neighbour.spec.gpus and not neighbour.pinned:
            held = neighbour.spec.asleep if neighbour.asleep else neighbour.spec.size_vram
            yield held // len(neighbour.spec.gpus)


def lacking(hardware: Hardware, spec: EngineSpec) -> int:
    """Bytes that must become free before the sleeping engine of ``spec`` can take its memory again."""
    if not spec.gpus:
        return 0
    need = (spec.size_vram - spec.asleep) // len(spec.gpus)
    free = min((gpu.free for gpu in hardware.gpus if gpu.index in spec.gpus), default=0)
    return max(need - free, 0) * len(spec.gpus)


def _resident(pid: int) -> int:
    """Bytes of RAM that the process and its children hold; libraries that they share count once."""
    total = 0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total
