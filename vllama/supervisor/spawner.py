"""The interface of an engine's process, and what starts one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from vllama.engine.client import Client, EngineClient
from vllama.engine.diagnose import Cause
from vllama.engine.leftovers import remember
from vllama.engine.process import EngineProcess
from vllama.engine.progress import Progress
from vllama.engine.spec import EngineSpec
from vllama.supervisor.spares import Spares


class Process(Protocol):
    """One run of an engine; ``engine.process.EngineProcess`` in the service."""

    @property
    def spec(self) -> EngineSpec:
        """The spec that it was started with."""
        ...

    @property
    def progress(self) -> Progress:
        """What its log has reported so far."""
        ...

    @property
    def last_output(self) -> float:
        """When it last logged anything, in monotonic seconds."""
        ...

    @property
    def pid(self) -> int:
        """Process id; raises LoadFailed before ``spawn``."""
        ...

    def spawn(self) -> None:
        """Start it; raises LoadFailed or OSError, and then nothing of it is left."""
        ...

    async def exited(self) -> None:
        """Wait until its main process has ended."""
        ...

    async def wait(self) -> Cause:
        """Wait until all its processes are gone; returns why it ended."""
        ...

    async def stop(self, *, gentle: bool) -> None:
        """Send SIGTERM first if ``gentle``, then SIGKILL."""
        ...

    async def end(self) -> None:
        """Kill all of it and see it gone; nothing to do when it was not spawned or is gone."""
        ...

    def pause(self, *, paused: bool) -> None:
        """Stop all its processes for a while (SIGSTOP), or let them continue."""
        ...

    async def page_out(self, seconds: float) -> None:
        """Have it move its memory to swap space; raises EngineError."""
        ...

    def cpu_seconds(self) -> float:
        """CPU time that it has used."""
        ...


class Spawner(Protocol):
    """Where processes of engines, and clients for them, come from."""

    def process(self, spec: EngineSpec, on_stage: Callable[[str], None]) -> Process:
        """A process that is not started yet; ``on_stage`` is called for every stage of its start."""
        ...

    def client(self, socket: Path) -> Client:
        """A client for the engine that listens there."""
        ...

    def remember(self, spec: EngineSpec, pid: int) -> None:
        """Record the process on disk, for the clean-up after this service is killed; raises OSError."""
        ...

    def forget(self, spec: EngineSpec) -> None:
        """Remove that record; raises OSError."""
        ...

    def prepare(self, spec: EngineSpec, idle: Callable[[], bool]) -> None:
        """An engine like ``spec`` may be next: what can be done ahead is done when ``idle`` allows it."""
        ...

    async def release(self) -> bool:
        """Give back the memory of what was prepared; whether there was any."""
        ...

    async def close(self) -> None:
        """Stop what was prepared."""
        ...


class LocalSpawner:
    """Implements ``Spawner`` on this machine."""

    def __init__(self, *, spare: bool | None = False) -> None:
        """``spare``: the setting ``engine.spare``."""
        self.spare = spare
        self._spares = Spares(lambda: self.spare)

    def process(self, spec: EngineSpec, on_stage: Callable[[str], None]) -> Process:
        """See ``Spawner``."""
        return EngineProcess(spec, on_stage, self._spares.launch)

    def client(self, socket: Path) -> Client:
        """See ``Spawner``."""
        return EngineClient(socket)

    def remember(self, spec: EngineSpec, pid: int) -> None:
        """See ``Spawner``."""
        remember(_pid_file(spec), pid)

    def forget(self, spec: EngineSpec) -> None:
        """See ``Spawner``."""
        _pid_file(spec).unlink(missing_ok=True)

    def prepare(self, spec: EngineSpec, idle: Callable[[], bool]) -> None:
        """See ``Spawner``."""
        self._spares.keep(spec, idle)

    async def release(self) -> bool:
        """See ``Spawner``."""
        return await self._spares.release()

    async def close(self) -> None:
        """See ``Spawner``."""
        await self._spares.close()


def _pid_file(spec: EngineSpec) -> Path:
    return spec.socket.with_suffix(".pid")
