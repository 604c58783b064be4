"""Whether this processor's vector instructions can be used is tried once, not at every start.

Before Inductor loads code for a CPU it compiles one small library for each set of instructions, and starts an
interpreter that loads it: six of these take a second. The libraries are kept with the rest of the code, which is kept
for each kind of processor. So one that was loaded once is known to be fine.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from .changing import Unfit

MODULE = "torch._inductor.cpu_vec_isa"
_MARK = ".loaded"


def apply(module: ModuleType) -> None:
    """Let it remember libraries that could be loaded, by an empty file next to each."""
    isa: Any = getattr(module, "VecISA", None)
    probe = getattr(isa, "_probe_load", None)
    if probe is None or list(signature(probe).parameters) != ["self", "output_path"]:
        raise Unfit("this torch tries vector instructions in another way")

    @functools.wraps(probe)
    def probe_load(self: Any, output_path: str) -> bool:
        mark = Path(f"{output_path}{_MARK}")
        if mark.exists():
            return True
        loads = bool(probe(self, output_path))
        if loads:
            with suppress(OSError):  # the cache can't be written: it is tried again next time
                mark.touch()
        return loads

    isa._probe_load = probe_load  # noqa: SLF001
