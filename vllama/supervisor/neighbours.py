"""The machine as a new engine finds it: with the memory that running engines hold, or may still take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from vllama.engine.spec import EngineSpec
from vllama.fit.hardware import Gpu, Hardware
from vllama.fit.places import Place, find_place

_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An engine that lives while another one is planned."""

    spec: EngineSpec
    pid: int
    pinned: bool
    """It is never evicted, so its memory never comes back."""
    asleep: bool = False
    loading: bool = False
    """It has not made its first token yet: it will still take memory, up to its plan."""


def beside(hardware: Hardware, neighbours: Sequence[Neighbour], max_ram: int | None = None) -> Hardware:
    """``hardware`` with what the neighbours keep. Looks at their processes.

    ``max_ram``: bytes that engines in RAM may take together, each counted as it was planned.
    """
    on_cpu = [(n, _taken(n.pid) if n.loading else _resident(n.pid)) for n in neighbours if not n.spec.gpus]
    promised = [_promised(n, used) for n, used in on_cpu]
    kept = sum(min(n.spec.size, used + rest) for (n, used), rest in zip(on_cpu, promised, strict=True) if not n.pinned)
    gpus = tuple(
        replace(gpu, kept=sum(_held(gpu, neighbours)), free=max(gpu.free - sum(_expected(gpu, neighbours)), 0))
        for gpu in hardware.gpus
    )
    found = replace(hardware, gpus=gpus, ram_kept=kept, ram_promised=sum(promised))
    if max_ram is None:
        return found
    return found.limited(max_ram, ((n.spec.asleep if n.asleep else n.spec.size, not n.pinned) for n, _ in on_cpu))


def disturbs(place: Place, hardware: Hardware, neighbours: Sequence[Neighbour]) -> bool:
    """Whether an engine at ``place`` would start on a GPU on which a neighbour still loads.

    vLLM measures a GPU while it starts, and fails or plans wrongly when another one takes its memory meanwhile.
    """
    loading = [set(n.spec.gpus) for n in neighbours if n.loading]
    if hardware.kind == "cpu":
        return False
    # an engine without a list of GPUs may be on any
    return any(not place.gpus or not gpus or gpus & {*place.gpus} for gpus in loading)


def _promised(neighbour: Neighbour, used: int) -> int:
    """Bytes of RAM that it will still take without another plan."""
    if neighbour.asleep:
        return 0
    rest = max(neighbour.spec.size - used, 0)
    # once it is loaded, it takes the KV cache page by page, as that is filled
    return rest if neighbour.loading else min(neighbour.spec.kv_cache, rest)


def _expected(gpu: Gpu, neighbours: Sequence[Neighbour]) -> Iterator[int]:
    """Memory planned for engines still loading on this GPU: how much they have taken is unknown, so it counts whole."""
    for neighbour in neighbours:
        if neighbour.loading and gpu.index in neighbour.spec.gpus:
            yield neighbour.spec.size_vram // len(neighbour.spec.gpus)


def _held(gpu: Gpu, neighbours: Sequence[Neighbour]) -> Iterator[int]:
    for neighbour in neighbours:
        if gpu.index in neighbour.spec.gpus and not neighbour.pinned:
            held = neighbour.spec.asleep if neighbour.asleep else neighbour.spec.size_vram
            yield held // len(neighbour.spec.gpus)


def lacking(hardware: Hardware, spec: EngineSpec) -> int:
    """Bytes that must become free before the sleeping engine of ``spec`` can take its memory again."""
    if not spec.size_vram:
        return max(spec.size - find_place(replace(hardware, kind="cpu"), share=1, cap=1.0).free, 0)
    if not spec.gpus:
        return 0
    need = (spec.size_vram - spec.asleep) // len(spec.gpus)
    free = min((gpu.free for gpu in hardware.gpus if gpu.index in spec.gpus), default=0)
    return max(need - free, 0) * len(spec.gpus)


def _resident(pid: int) -> int:
    """Bytes of RAM that the process and its children hold; libraries that they share count once."""
    total = 0
    for process in _family(pid):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def _taken(pid: int) -> int:
    """Bytes of their own memory, without pages of files.

    Weights that are being read are in the page cache, which counts as available, and will need memory of their own. 0
    if the kernel does not say: then all of the plan counts as still to come.
    """
    total = 0
    for process in _family(pid):
        with suppress(OSError):
            total += own_memory((_PROC / str(process.pid) / "smaps_rollup").read_text())
    return total


def own_memory(rollup: str) -> int:
    """Bytes of memory that does not belong to a file, by ``/proc/PID/smaps_rollup``."""
    found = (line.split() for line in rollup.splitlines())
    return sum(int(words[1]) << 10 for words in found if words and words[0] in {"Pss_Anon:", "Pss_Shmem:"})


def _family(pid: int) -> tuple[psutil.Process, ...]:
    """The process and all below it."""
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        return (root, *root.children(recursive=True))
    return ()
