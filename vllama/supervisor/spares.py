"""Keeps one spare interpreter (``engine.spare``) for the next engine, where memory allows it.

It is made when an engine has become ready and nothing else is going on, because its imports take seconds of CPU time.
The next load takes it, or ends it: so its memory is never missing to an engine.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from vllama.engine.process import new_interpreter
from vllama.engine.spare import Base, Spare, base_of
from vllama.engine.spec import EngineSpec
from vllama.fit.gpu import detect
from vllama.fit.hardware import Hardware
from vllama.supervisor.tasks import outcome

_LOG: Final = logging.getLogger("vllama.supervisor")
_GIB: Final = 1 << 30
_SIZE: Final = 600 << 20
"""Bytes of an interpreter that has imported vLLM."""
_LEFT: Final = 4 * _GIB
"""Bytes that must stay free in addition, unless it is configured."""
_LOOK_SECONDS: Final = 1.0
_PAUSES: Final = (0.0, 10.0, 60.0, 600.0)
"""Seconds before each try: one that ends while it waits is replaced, but not for ever."""


def affordable(choice: bool | None, hardware: Hardware) -> bool:
    """Whether to keep a spare: as configured, else if a quarter of the memory, and 4 GiB, stay free in addition."""
    if choice is not None:
        return choice
    return hardware.ram_available - hardware.ram_promised - _SIZE >= max(_LEFT, hardware.ram_total // 4)


class Spares:
    """Implements what ``spawner.LocalSpawner`` needs of a spare. Belongs to one event loop."""

    def __init__(self, choice: Callable[[], bool | None], probe: Callable[[], Hardware] = detect) -> None:
        """``choice``: what is configured now (``engine.spare``); ``probe`` looks at the machine."""
        self._choice = choice
        self._probe = probe
        self.pauses = _PAUSES
        self._spare: Spare | None = None
        self.keeping: asyncio.Task[None] | None = None
        """Makes one, and replaces it; ends when it gives up."""
        self._ending: set[asyncio.Task[object]] = set()

    @property
    def pid(self) -> int | None:
        """The process id of the spare that waits."""
        return self._spare.pid if self._spare is not None else None

    def launch(self, spec: EngineSpec) -> subprocess.Popen[bytes]:
        """The child of ``spec``: the spare where it fits, else a new interpreter. Raises OSError.

        Nobody waits for a process in the background, so it leaves the spare to the next load.
        """
        if spec.background:
            return new_interpreter(spec)
        spare = self._let_go()
        if spare is not None:
            if spare.base == _base(spec) and (process := spare.become(spec)) is not None:
                _LOG.debug("%s: starts from the spare interpreter", spec.name)
                return process
            task = asyncio.ensure_future(outcome(spare.end()))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        return new_interpreter(spec)

    def keep(self, spec: EngineSpec, idle: Callable[[], bool]) -> None:
        """Have one for engines like ``spec`` as soon as ``idle`` says that nothing else is going on."""
        base = _base(spec)
        if base is None or self._choice() is False or (self._spare is not None and self._spare.base == base):
            return
        previous = self._let_go()
        self.keeping = asyncio.ensure_future(self._keep(base, previous, idle))

    async def release(self) -> bool:
        """Stop the spare, because memory is short; returns whether there was one."""
        spare = self._let_go()
        if spare is None:
            return False
        await outcome(spare.end())
        return True

    async def close(self) -> None:
        """Stop the spare, if there is one."""
        await self.release()
        await asyncio.gather(*self._ending)

    def _let_go(self) -> Spare | None:
        if self.keeping is not None:
            self.keeping.cancel()
            self.keeping = None
        spare, self._spare = self._spare, None
        return spare

    async def _keep(self, base: Base, previous: Spare | None, idle: Callable[[], bool]) -> None:
        if previous is not None:
            await outcome(previous.end())
        for pause in self.pauses:
            await asyncio.sleep(pause)
            while not idle():  # noqa: ASYNC110 - a look each second costs less than an event for each answer
                await asyncio.sleep(_LOOK_SECONDS)
            if not affordable(self._choice(), await asyncio.to_thread(self._probe)):
                return
            ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            try:
                self._spare = Spare(base, ended.set_result)
            except OSError as error:
                _LOG.warning("no spare interpreter: %s", error.strerror)
                return
            status = await ended
            dead, self._spare = self._spare, None
            with suppress(OSError, subprocess.TimeoutExpired):
                await dead.end()
            _LOG.warning("the spare interpreter ended with status %d", status)


def _base(spec: EngineSpec) -> Base | None:
    try:
        return base_of(spec)
    except OSError:  # an engine that is being replaced
        return None
