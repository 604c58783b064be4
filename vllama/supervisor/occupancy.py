"""The machine as a new engine finds it: without the memory that tenants hold or will still take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil

from vllama.fit.hardware import Gpu, Hardware
from vllama.fit.places import Place, find_place
from vllama.supervisor.tenants import Tenant

_PROC: Final = Path("/proc")


def occupied(hardware: Hardware, tenants: Sequence[Tenant], max_ram: int | None = None) -> Hardware:
    """``hardware`` with what the tenants keep. Looks at their processes.

    ``max_ram``: bytes that engines in RAM may take together, each counted as it was planned.
    """
    in_ram = [(t, _taken(t.pid) if t.loading else _resident(t.pid)) for t in tenants if not t.gpus]
    promised = [_promised(t, used) for t, used in in_ram]
    kept = sum(min(t.size, used + rest) for (t, used), rest in zip(in_ram, promised, strict=True) if not t.pinned)
    gpus = tuple(
        replace(gpu, kept=sum(_held(gpu, tenants)), free=max(gpu.free - sum(_expected(gpu, tenants)), 0))
        for gpu in hardware.gpus
    )
    found = replace(hardware, gpus=gpus, ram_kept=kept, ram_promised=sum(promised))
    return found if max_ram is None else found.limited(max_ram, ((t.held, not t.pinned) for t, _ in in_ram))


def disturbs(place: Place, hardware: Hardware, tenants: Sequence[Tenant]) -> bool:
    """Whether an engine at ``place`` would start on a GPU on which a tenant still loads.

    vLLM measures a GPU while it starts, and fails or plans wrongly when another process takes its memory meanwhile.
    """
    loading = [set(tenant.gpus) for tenant in tenants if tenant.loading]
    if hardware.kind == "cpu":
        return False
    # one without a list of GPUs may be on any
    return any(not place.gpus or not gpus or gpus & {*place.gpus} for gpus in loading)


def lacking(hardware: Hardware, sleeper: Tenant) -> int:
    """Bytes that must become free before a tenant that sleeps can take its memory again."""
    if not sleeper.size_vram:
        return max(sleeper.size - find_place(replace(hardware, kind="cpu"), share=1, cap=1.0).free, 0)
    if not sleeper.gpus:
        return 0
    need = (sleeper.size_vram - sleeper.asleep) // len(sleeper.gpus)
    free = min((gpu.free for gpu in hardware.gpus if gpu.index in sleeper.gpus), default=0)
    return max(need - free, 0) * len(sleeper.gpus)


def _promised(tenant: Tenant, used: int) -> int:
    """Bytes of RAM that it will still take without another plan."""
    if tenant.sleeping:
        return 0
    rest = max(tenant.size - used, 0)
    return rest if tenant.loading else min(tenant.lazy, rest)


def _expected(gpu: Gpu, tenants: Sequence[Tenant]) -> Iterator[int]:
    """Memory planned for tenants still loading on this GPU: how much they have taken is unknown, so it counts whole."""
    return (t.size_vram // len(t.gpus) for t in tenants if t.loading and gpu.index in t.gpus)


def _held(gpu: Gpu, tenants: Sequence[Tenant]) -> Iterator[int]:
    """Bytes that would be free on this GPU without the tenant."""
    for tenant in tenants:
        if gpu.index in tenant.gpus and not tenant.pinned:
            yield (tenant.asleep if tenant.sleeping else tenant.size_vram) // len(tenant.gpus)


def _resident(pid: int | None) -> int:
    """Bytes of RAM that the process and its children hold; libraries that they share count once."""
    total = 0
    for process in _family(pid):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def _taken(pid: int | None) -> int:
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


def _family(pid: int | None) -> tuple[psutil.Process, ...]:
    """The process and all its descendants."""
    if pid is None:
        return ()
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        return (root, *root.children(recursive=True))
    return ()
