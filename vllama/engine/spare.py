"""An interpreter that has imported what an engine needs, and waits to become one: the load is some seconds faster.

What an interpreter imports depends on its environment. So a spare fits an engine whose environment is the same, except
for variables that vLLM reads later. It becomes the engine by running the same module with the same arguments. From
outside, such a process differs only in its first command line.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama import child
from vllama.engine.cgroup import let_die_first
from vllama.engine.exits import notice_exit
from vllama.engine.session import kill_session, tidy
from vllama.engine.spec import EngineSpec

_MODULE: Final = "vllama_engine.spare"
_LATE: Final = frozenset({"TMPDIR", "VLLM_RPC_BASE_PATH", "VLLM_ALLOW_RUNTIME_LORA_UPDATING"})
"""Variables that nothing reads while it is imported."""
_LONGEST_ORDER: Final = 60_000
"""Bytes that a pipe takes without a reader."""
_END_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Base:
    """What engines must have in common for one spare to fit them all."""

    python: str
    entry: str
    """The module that is run."""
    env: Mapping[str, str]
    installed: tuple[int, ...]
    """When packages were last put in or taken out, in nanoseconds: what was imported before is not the engine's."""


def base_of(spec: EngineSpec) -> Base | None:
    """What a spare for ``spec`` is made from; raises OSError. None on a GPU: an import may open a device."""
    if spec.gpus or spec.size_vram or spec.argv[1:2] != ("-m",):
        return None
    python, _, entry, *_ = spec.argv
    env = {name: value for name, value in spec.env.items() if name not in _LATE}
    packages = Path(python).parents[1].glob("lib/python*/site-packages")
    return Base(python, entry, env, tuple(folder.stat().st_mtime_ns for folder in packages))


class Spare:
    """One waiting interpreter. It ends by itself when this process does."""

    def __init__(self, base: Base, ended: Callable[[int], None]) -> None:
        """Start it; ``ended`` is called with its status if it ends while it waits. Raises OSError."""
        self.base = base
        self._process = subprocess.Popen(
            (base.python, "-m", _MODULE, base.entry),
            **child.start({}, more=base.env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._gone = asyncio.Event()

        def over() -> None:
            self._gone.set()
            ended(self._process.returncode)

        try:
            self._forget = notice_exit(self._process, over)
        except OSError:
            self._process.kill()
            self._process.communicate()
            raise
        let_die_first(self._process.pid)

    @property
    def pid(self) -> int:
        """Its process id, which becomes the engine's."""
        return self._process.pid

    def become(self, spec: EngineSpec) -> subprocess.Popen[bytes] | None:
        """Make it the engine of ``spec``, which it must fit; None if it can't be any more, and must be stopped."""
        env = child.start({}, more=spec.env)["env"]
        order = json.dumps({"argv": spec.argv[3:], "env": env, "cwd": str(spec.scratch)}).encode() + b"\n"
        pipe = self._process.stdin
        if self._process.poll() is not None or len(order) > _LONGEST_ORDER or pipe is None:
            return None
        try:
            with pipe:
                pipe.write(order)
        except OSError:
            return None
        self._process.stdin = None  # closed: it must not be flushed
        self._forget()
        return self._process

    async def end(self) -> None:
        """Kill it with all that it may have started, and wait until it is gone."""
        self._forget()
        killed = kill_session(self.pid, spare_trackers=False)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        await asyncio.to_thread(self._process.wait, _END_SECONDS)
        tidy({self.pid, *killed})
