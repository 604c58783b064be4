"""Triton's files are read for a key only where Triton computes, on a GPU.

To name compiled code, torch hashes all files of Triton, 0.4 s, and drops the result where there is no GPU.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .changing import Unfit, source_of

MODULE = "torch._inductor.codecache"


def apply(module: ModuleType) -> None:
    """Leave it out in a torch that is made for CPUs."""
    torch: Any = getattr(module, "torch", None)
    if torch is None or not callable(getattr(module, "triton_key", None)):
        raise Unfit("this torch names compiled code in another way")
    if torch.version.cuda or torch.version.hip:
        return
    if source_of(MODULE).count("triton_key()") != 2:  # its definition, and the one call
        raise Unfit("this torch uses Triton's key in another way")
    # mypy knows no attribute of a module that is a parameter
    module.triton_key = lambda: None  # type: ignore[attr-defined]
