"""Engines without processes: a planner and a spawner of which any one step can be made to fail."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from tests.unit.supervisor.worlds import SIZE
from vllama.engine.client import Events
from vllama.engine.diagnose import Cause
from vllama.engine.progress import Progress
from vllama.engine.spec import EngineSpec
from vllama.errors import EngineGone
from vllama.models.model import Model
from vllama.supervisor.tenants import Tenant


class Seams:
    """Every step that the supervisor takes outside itself passes here, and one of them fails."""

    def __init__(self, name: str = "", number: int = 1, error: Exception | None = None) -> None:
        """The ``number``-th step called ``name`` raises ``error``."""
        self.passed: Counter[str] = Counter()
        self.failed = False
        self.deaf = False
        """No engine answers."""
        self._name, self._number, self._error = name, number, error

    def step(self, name: str) -> None:
        self.passed[name] += 1
        if self._error is not None and name == self._name and self.passed[name] == self._number:
            self.failed = True
            raise self._error


class ScriptedPlanner:
    """Every model fits, and can sleep: ``one`` as on a GPU, others in swap space."""

    def __init__(self, seams: Seams) -> None:
        self._seams = seams

    async def spec(self, model: Model, tenants: Sequence[Tenant], attempt: int) -> EngineSpec:
        self._seams.step("planner.spec")
        name = model.name.model
        spec = EngineSpec(name, ("true",), {}, Path(f"/run/{name}.sock"), name, "generate", size=SIZE, asleep=1)
        return replace(spec, size_vram=SIZE) if name == "one" else spec

    async def room_to_wake(self, sleeper: Tenant, tenants: Sequence[Tenant]) -> None:
        self._seams.step("planner.room_to_wake")

    async def room_to_compile(self, spec: EngineSpec, tenants: Sequence[Tenant]) -> None:
        self._seams.step("planner.room_to_compile")

    async def distrust(self, spec: EngineSpec, progress: Progress) -> None:
        self._seams.step("planner.distrust")

    async def learn(self, spec: EngineSpec, progress: Progress) -> None:
        self._seams.step("planner.learn")


class ScriptedProcess:
    """Lives until it is stopped."""

    def __init__(self, seams: Seams, spec: EngineSpec) -> None:
        self.spec = spec
        self.progress = Progress()
        self.pid = 4711
        self.alive = False
        self.paused = False
        self.last_output = time.monotonic()
        self._seams = seams
        self._gone = asyncio.Event()

    def spawn(self) -> None:
        self._seams.step("process.spawn")
        self.alive = True

    async def exited(self) -> None:
        self._seams.step("process.exited")
        await self._gone.wait()

    async def wait(self) -> Cause:
        await self._gone.wait()
        self._seams.step("process.wait")
        return Cause("crashed", "it crashed")

    async def stop(self, *, gentle: bool) -> None:
        self._seams.step("process.stop")
        self.die()

    async def end(self) -> None:
        self._seams.step("process.end")
        self.die()

    def pause(self, *, paused: bool) -> None:
        self._seams.step("process.pause")
        self.paused = paused

    def die(self) -> None:
        self.alive = False
        self._gone.set()

    async def page_out(self, seconds: float) -> None:
        self._seams.step("process.page_out")

    def cpu_seconds(self) -> float:
        self._seams.step("process.cpu_seconds")
        return 0.0


class ScriptedClient:
    """Answers as long as its process lives."""

    def __init__(self, seams: Seams, process: ScriptedProcess) -> None:
        self._seams, self._process = seams, process
        self.bytes_read = 0

    async def close(self) -> None:
        self._seams.step("client.close")

    async def get(self, path: str, *, timeout: float = 5.0) -> bytes:
        self._answer(f"client.get {path}")
        return orjson.dumps({"data": [{"max_model_len": 2048}]})

    async def call(self, path: str, body: Mapping[str, Any] | bytes, *, timeout: float | None = None) -> bytes:
        self._answer(f"client.call {path}")
        self.bytes_read += 1
        return b"{}"

    def named(self, headers: Mapping[str, str]) -> Any:
        return self

    @asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any] | bytes) -> AsyncIterator[Events]:
        raise NotImplementedError(path)
        yield

    def _answer(self, name: str) -> None:
        self._seams.step(name)
        if not self._process.alive or self._seams.deaf:
            raise EngineGone("it is gone")


class ScriptedSpawner:
    """Keeps all that it made."""

    def __init__(self, seams: Seams) -> None:
        self._seams = seams
        self.made: list[ScriptedProcess] = []
        self.noted: set[Path] = set()
        self.code = ""
        """What its engines say that they keep of compiled code."""
        self.prepared = False
        """There is memory to be given back."""

    def process(self, spec: EngineSpec, on_stage: Callable[[str], None]) -> ScriptedProcess:
        self._seams.step("spawner.process")
        self.made.append(ScriptedProcess(self._seams, spec))
        self.made[-1].progress.code = self.code
        on_stage("starting")
        return self.made[-1]

    def client(self, socket: Path) -> ScriptedClient:
        self._seams.step("spawner.client")
        return ScriptedClient(self._seams, next(made for made in reversed(self.made) if made.spec.socket == socket))

    def remember(self, spec: EngineSpec, pid: int) -> None:
        self._seams.step("spawner.remember")
        self.noted.add(spec.socket)

    def forget(self, spec: EngineSpec) -> None:
        self._seams.step("spawner.forget")
        self.noted.discard(spec.socket)

    def prepare(self, spec: EngineSpec, idle: Callable[[], bool]) -> None:
        self._seams.step("spawner.prepare")

    async def release(self) -> bool:
        self._seams.step("spawner.release")
        given, self.prepared = self.prepared, False
        return given

    async def close(self) -> None:
        self._seams.step("spawner.close")
