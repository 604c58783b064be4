"""Inspects the machine: GPUs by NVML, nvidia-smi or rocm-smi; cores and memory within the cgroups' limits.

Never raises: what can't be found out isn't there.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from vllama import child
from vllama.fit.cgroups import GroupLimits, group_limits
from vllama.fit.hardware import Gpu, Hardware, HardwareKind
from vllama.fit.numa import node_available

_SMI: Final = (
    "nvidia-smi",
    "--query-gpu=index,name,memory.total,memory.free,compute_cap,display_active",
    "--format=csv,noheader,nounits",
)
_ROCM: Final = ("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--json")
_MIB: Final = 1 << 20
_SECONDS: Final = 20
_INSTRUCTIONS: Final = re.compile(r"a[mv]x|s?sse|fma|f16c|bmi|vaes|vpclmul|gfni|sha|asimd|sve|sme|bf16|i8mm")
_CPUINFO: Final = Path("/proc/cpuinfo")
_CPUS: Final = Path("/sys/devices/system/cpu")
_AVX512: Final = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
"""What PyTorch, and so vLLM, means by it."""


def detect() -> Hardware:
    """The machine's hardware now; free memory is a snapshot."""
    kind: HardwareKind = "cpu"
    gpus: tuple[Gpu, ...] = ()
    for look, found_kind in ((_by_nvml, "cuda"), (_by_nvidia_smi, "cuda"), (_by_rocm_smi, "rocm")):
        if gpus := look():
            kind = "rocm" if found_kind == "rocm" else "cuda"
            break
    limits = group_limits()
    memory = psutil.virtual_memory()
    available = memory.available
    if limits.memory is not None:
        available = min(available, max(limits.memory - limits.used, 0))
    cores = _cores(limits)
    on_node = node_available(cores[0])
    available = available if on_node is None else min(available, on_node)
    total = min(memory.total, limits.memory or memory.total)
    cpuinfo = _read(_CPUINFO)
    firsts = _as_many(first_threads(_allowed(), _CPUS), limits)
    return Hardware(
        kind,
        cores,
        total,
        available,
        gpus,
        swap_free=psutil.swap_memory().free,
        bf16=has_fast_bf16(cpuinfo),
        first_threads=firsts,
        cpu=processor(cpuinfo),
    )


def usable_cores() -> int:
    """How many cores we may run on; asks no driver, so it is quick."""
    return len(_cores(group_limits()))


def _cores(limits: GroupLimits) -> tuple[int, ...]:
    """CPU numbers we may run on."""
    return _as_many(_allowed(), limits)


def _allowed() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0)))


def _as_many(cores: tuple[int, ...], limits: GroupLimits) -> tuple[int, ...]:
    """A quota without a cpuset: more threads than the quota would only be throttled."""
    return cores if limits.cpus is None else cores[: max(1, math.ceil(limits.cpus))]


def first_threads(cores: Sequence[int], cpus: Path) -> tuple[int, ...]:
    """The CPUs that are the first hardware thread of their core; all of them if the kernel does not say.

    ``cpus``: the kernel's folder of them.
    """
    seen: set[str] = set()
    found = []
    for core in cores:
        siblings = _read(cpus / f"cpu{core}" / "topology" / "thread_siblings_list").strip() or str(core)
        if siblings not in seen:
            seen.add(siblings)
            found.append(core)
    return tuple(found)


def has_fast_bf16(cpuinfo: str) -> bool:
    """By ``/proc/cpuinfo``; only x86 has a line of ``flags``, other architectures count as fast."""
    for line in cpuinfo.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() == "flags":
            return _AVX512.issubset(flags.split())
    return True


def processor(cpuinfo: str) -> str:
    """The first processor of ``/proc/cpuinfo``: its name, and its instructions as far as compilers use them.

    Other flags come and go with kernels and microcode.
    """
    first = dict[str, str]()
    for line in cpuinfo.splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        first.setdefault(name, value)
    name = first.get("model name") or " ".join(first.get(f"CPU {part}", "") for part in ("implementer", "part"))
    flags = (first.get("flags") or first.get("Features", "")).split()
    return " ".join((name.strip(), *sorted(flag for flag in flags if _INSTRUCTIONS.match(flag))))


def _by_nvml() -> tuple[Gpu, ...]:
    try:
        import pynvml  # noqa: PLC0415 - optional: the extra "gpu"
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_nvml_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _nvml_gpu(pynvml: Any, index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    name = pynvml.nvmlDeviceGetName(handle)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        index=index,
        name=name.decode() if isinstance(name, bytes) else str(name),
        total=int(memory.total),
        free=int(memory.free),
        capability=(int(major), int(minor)),
        display=_nvml_display(pynvml, handle),
    )


def _nvml_display(pynvml: Any, handle: Any) -> bool:
    """Not every card answers: those without an output may not."""
    try:
        return bool(pynvml.nvmlDeviceGetDisplayActive(handle))
    except pynvml.NVMLError:
        return False


def _by_nvidia_smi() -> tuple[Gpu, ...]:
    return read_nvidia_smi(_output(_SMI))


def read_nvidia_smi(text: str) -> tuple[Gpu, ...]:
    """``0, NVIDIA GeForce RTX 4090, 24564, 24000, 8.9, Enabled`` a line, in MiB; other lines are not GPUs.

    The last field says whether a monitor is attached.
    """
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 6 and all(field.isdecimal() for field in (fields[0], fields[2], fields[3])):
            major, _, minor = fields[4].partition(".")
            capability = (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
            total, free = int(fields[2]) * _MIB, int(fields[3]) * _MIB
            gpus.append(Gpu(int(fields[0]), fields[1], total, free, capability, display=fields[5] == "Enabled"))
    return tuple(gpus)


def _by_rocm_smi() -> tuple[Gpu, ...]:
    return read_rocm_smi(_output(_ROCM))


def read_rocm_smi(text: str) -> tuple[Gpu, ...]:
    """rocm-smi's JSON: ``{"card0": {"VRAM Total Memory (B)": "...", "Card Series": ...}, ...}``."""
    try:
        cards = json.loads(text)
    except ValueError:
        return ()
    gpus = []
    for index, card in enumerate(cards.values() if isinstance(cards, dict) else ()):
        total, used = (str(card.get(f"VRAM Total {part}(B)", "")) for part in ("Memory ", "Used Memory "))
        if total.isdecimal():
            name = str(card.get("Card Series") or card.get("Card series") or "AMD GPU")
            gpus.append(Gpu(index, name, int(total), int(total) - int(used) if used.isdecimal() else int(total)))
    return tuple(gpus)


def _output(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            **child.start(),
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
