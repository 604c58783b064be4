"""Says whether compiled code is loaded or made, before either begins, and leaves no code that can't be loaded.

vLLM says only afterwards what it did. The service wants to show it while it lasts, and to know which folder was at work
when a start dies in the middle. (``engine.compilation`` reads these lines.)

Kernels that Inductor compiled are next to the code that vLLM keeps. Inductor takes any file with the right name for
complete. So one that a crash or a full disk cut off would fail again in every compilation: they go with the code. Where
there is no code yet, those are removed that an unfinished compilation cut off.
"""

from __future__ import annotations

import logging
import shutil
import struct
from contextlib import suppress
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from .changing import Unfit

MODULE = "vllm.compilation.decorators"
LOADER = "_try_load_aot_compiled_fn"
KERNELS = "inductor_cache"

_ELF = struct.Struct("<4s36xQ10xHH")
"""The header of a library: its magic number; where its last part begins, the size of an entry there, and how many."""
_LOG = logging.getLogger("vllm.vllama")


def apply(module: ModuleType) -> None:
    """Wrap vLLM's function that loads compiled code, or returns None where it must be made."""
    load: Any = getattr(module, LOADER, None)
    if load is None or list(signature(load).parameters) != ["model", "aot_compilation_path"]:
        raise Unfit("this vLLM loads compiled code in another way")

    def load_with_news(model: Any, aot_compilation_path: str) -> Any:
        code = Path(aot_compilation_path)
        kept = code.exists()
        _LOG.info("%s %s", "loading compiled code from" if kept else "compiling: no code is kept in", code)
        alone = model.vllm_config.parallel_config.world_size == 1  # else others are writing kernels
        if alone and not kept:
            discard_halves(code)
        loaded = load(model, aot_compilation_path)
        if alone and kept and loaded is None:
            discard(code)
        return loaded

    setattr(module, LOADER, load_with_news)


def discard(code: Path) -> None:
    """Remove ``…/<key>/rank_0_0/model`` and the kernels of ``<key>``; their folder stays: Inductor knows its name."""
    try:
        code.unlink(missing_ok=True)
        for entry in (code.parents[1] / KERNELS).iterdir():
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()
    except OSError as error:
        _LOG.warning("compiled code that can't be loaded can't be removed either: %s", error.strerror)


def discard_halves(code: Path) -> None:
    """Remove the libraries that were not written to their end."""
    for library in (code.parents[1] / KERNELS).rglob("*.so"):
        with suppress(OSError):
            if not whole(library):
                library.unlink()


def whole(library: Path) -> bool:
    """Whether its last part, which a linker writes last, is there. Raises OSError."""
    with library.open("rb") as file:
        header = file.read(_ELF.size)
    if len(header) < _ELF.size:
        return False
    magic, begin, size, count = _ELF.unpack(header)
    return bool(magic == b"\x7fELF" and library.stat().st_size >= begin + size * count)
