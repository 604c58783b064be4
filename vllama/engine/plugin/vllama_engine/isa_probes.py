"""Whether this processor's vector instructions can be used is tried once, not at every start.

Before Inductor loads code for a CPU it compiles one small library for each set of instructions, and starts an
interpreter that loads it: six of these take a second. The libraries are kept with the rest of the code, which is kept
for each kind of processor. So one that was loaded once is known to be fine.

A library that can't be loaded says little about the processor. A compiler that was killed may have written half of it.
And a start that compiles in the background is paused while requests run: then the trial's time may be up before it had
the CPU. Without these instructions the kept code would be slow for good. So such a library is made and tried again.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import suppress
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from .changing import Unfit

MODULE = "torch._inductor.cpu_vec_isa"
_MARK = ".loaded"
_LONG = 30.0
"""Seconds after which a trial was stopped for its time (torch's limit is 60): it takes a fraction of one."""
_TRIALS = 3


def apply(module: ModuleType) -> None:
    """Let it remember libraries that could be loaded, by an empty file next to each, and make others again."""
    isa: Any = getattr(module, "VecISA", None)
    probe, build = (getattr(isa, name, None) for name in ("_probe_load", "check_build"))
    if probe is None or build is None or list(signature(probe).parameters) != ["self", "output_path"]:
        raise Unfit("this torch tries vector instructions in another way")
    removed: list[Path] = []

    @functools.wraps(probe)
    def probe_load(self: Any, output_path: str) -> bool:
        mark = Path(f"{output_path}{_MARK}")
        if mark.exists():
            return True
        loads = tried(lambda: bool(probe(self, output_path)))
        with suppress(OSError):  # the cache can't be written: it is tried again next time
            if loads:
                mark.touch()
            else:
                Path(output_path).unlink()
                removed.append(Path(output_path))
        return loads

    @functools.wraps(build)
    def check_build(self: Any, code: str) -> bool:
        removed.clear()
        return build(self, code) or (bool(removed) and build(self, code))

    isa._probe_load, isa.check_build = probe_load, check_build  # noqa: SLF001


def tried(probe: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> bool:
    """Whether it succeeds; one whose time was up is repeated."""
    for _ in range(_TRIALS):
        began = clock()
        if probe():
            return True
        if clock() - began < _LONG:
            break
    return False
