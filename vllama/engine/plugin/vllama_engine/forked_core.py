"""The engine core of a CPU engine is forked from the API server, which saves it all imports: seven seconds.

vLLM spawns it on every CPU: a new interpreter that imports the same modules again. The reason is OpenMP: a process
can't be forked once OpenMP has threads, and a worker gets its OpenMP settings by its environment. Neither holds for an
engine whose model runs in the engine core itself (executor ``uni``): its settings are in the environment from the
start, and the API server computes nothing before it starts the core. That is looked at right before the fork: there
must be no thread but the main one and those of ZeroMQ, which hold no lock that the child needs. Otherwise the core is
spawned as ever.

The child gives up what it must not share with its parent: see ``_Forked``.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import signal
import stat
import threading
import time
from collections.abc import Callable
from inspect import signature
from multiprocessing.context import ForkContext, ForkProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from .changing import Unfit

MODULE = "vllm.v1.engine.utils"
_LOG = logging.getLogger("vllm.vllama")
_PARAMETERS = frozenset({"local_engine_count", "vllm_config", "executor_class"})
_HARMLESS = ("ZMQbg", "iou-")
"""How the names of threads begin that may run while we fork: ZeroMQ's, and the kernel's for io_uring."""
_NAMED_SECONDS = 2.0
_LOOK_SECONDS = 0.01
_PR_SET_PDEATHSIG = 1


def apply(module: ModuleType) -> None:
    """Let the manager of engine cores fork where that is safe."""
    manager: Any = getattr(module, "CoreEngineProcManager", None)
    spawning: Callable[[], Any] | None = getattr(module, "get_mp_context", None)
    if manager is None or spawning is None or not _PARAMETERS.issubset(signature(manager.__init__).parameters):
        raise Unfit("this vLLM starts its engine core in another way")
    start = manager.__init__

    @functools.wraps(start)
    def start_core(self: Any, *args: Any, **kwargs: Any) -> None:
        given = signature(start).bind(self, *args, **kwargs).arguments
        if forkable(given["vllm_config"], given["executor_class"], given["local_engine_count"]):
            if others := lasting(other_threads):
                _LOG.info("The engine core is spawned, not forked: other threads run (%s)", ", ".join(others))
            else:
                # mypy knows no attribute of a module that is a parameter
                module.get_mp_context = _Forking  # type: ignore[attr-defined]
        try:
            start(self, *args, **kwargs)
        finally:
            module.get_mp_context = spawning  # type: ignore[attr-defined]

    manager.__init__ = start_core


def forkable(config: Any, executor: type, cores: int) -> bool:
    """Whether this engine's one core computes on the CPU, in its own process."""
    parallel = config.parallel_config
    return (
        config.device_config.device_type == "cpu"
        and cores == 1
        and parallel.data_parallel_size == 1
        and parallel.world_size == 1
        and not parallel.numa_bind
        and "UniProcExecutor" in {base.__name__ for base in executor.__mro__}
    )


def other_threads(
    tasks: Path = Path("/proc/self/task"), python_threads: Callable[[], list[threading.Thread]] = threading.enumerate
) -> list[str]:
    """Threads of this process that may hold a lock for which a child would wait for ever."""
    python = [thread.name for thread in python_threads() if thread is not threading.main_thread()]
    names = [(task.name, (task / "comm").read_text().rstrip()) for task in tasks.iterdir()]
    return python + [name for number, name in names if int(number) != os.getpid() and not name.startswith(_HARMLESS)]


def lasting(look: Callable[[], list[str]], seconds: float = _NAMED_SECONDS) -> list[str]:
    """What ``look`` still finds after a while, as soon as that is nothing: a new thread first has to name itself."""
    until = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return found


class _Forked(ForkProcess):
    """The engine core, forked."""

    def run(self) -> None:
        """Be a process of its own, then what it was made for."""
        # multiprocessing sets it in each process that it makes; typeshed leaves it out
        parent = self._parent_pid  # type: ignore[attr-defined]
        # The API server watches its core, but nothing stops a core whose API server was killed.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)  # a signal for us would wake up our parent's event loop
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _give_up_sockets()
        super().run()


class _Forking(ForkContext):
    """What ``multiprocessing.get_context("fork")`` gives, with our process."""

    Process = _Forked


def _give_up_sockets() -> None:
    """Close our copies of the parent's sockets and event loop: clients of a killed API server would wait on them.

    The numbers stay taken, because objects of our parent may still close them.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for entry in Path("/proc/self/fd").iterdir():
        number = int(entry.name)
        try:
            mode, target = os.fstat(number).st_mode, str(entry.readlink())
        except OSError:
            continue  # the listing's own
        if number > 2 and (stat.S_ISSOCK(mode) or target.startswith("anon_inode:")):
            os.dup2(nothing, number, inheritable=False)
    os.close(nothing)
