"""The kernel is asked for AMX's registers before vLLM's attention uses them.

On Linux a process must ask before its first AMX instruction (arch_prctl, ARCH_REQ_XCOMP_PERM), or that one ends it as
illegal. vLLM chooses its AMX attention wherever the processor has AMX, and asks for nothing: oneDNN does, when it first
multiplies matrices with AMX. A model that is too small for that, such as tinychat, came to its attention first and died
with its first token. Threads and forked processes inherit the permission.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .changing import Unfit

MODULE = "vllm.v1.attention.backends.cpu_attn"
_SUPPORTED = "_is_amx_tile_supported"


def apply(module: ModuleType) -> None:
    """Ask; where the kernel refuses, the processor counts as one without AMX."""
    torch: Any = getattr(module, "torch", None) or sys.modules.get("torch")
    cpu: Any = getattr(torch, "cpu", None)
    supported, ask = (getattr(cpu, name, None) for name in (_SUPPORTED, "_init_amx"))
    if supported is None or ask is None:
        raise Unfit("this torch asks for AMX in another way")
    if supported() and not ask():
        setattr(cpu, _SUPPORTED, lambda: False)
