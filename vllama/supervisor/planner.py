"""Plans how to start a model's engine on this machine now, from files, hardware, tenants and the installed engine."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from vllama.config.load import Loaded
from vllama.disk import Reads
from vllama.engine import kept_code
from vllama.engine.command import build_spec, traced
from vllama.engine.compiled import CompiledCode, code_name
from vllama.engine.preload import find_preload
from vllama.engine.progress import Progress
from vllama.engine.spec import EngineSpec, scratch_directory
from vllama.errors import LoadFailed, NoRoomYet
from vllama.fit.alternatives import alternatives
from vllama.fit.compiling import for_compiling, may_be_eager_first, without_code
from vllama.fit.hardware import Hardware
from vllama.fit.measurements import Measurements, plan_as_measured
from vllama.fit.plan import Missing, Plan, Refusal
from vllama.fit.reported import basis_of, measured
from vllama.fit.settings import WantedSettings, configured_settings, wanted_settings
from vllama.fit.words import hint_of, parts_of, too_big
from vllama.install.capabilities import Capabilities
from vllama.models.model import Model
from vllama.supervisor.machine import Machine, ThisMachine
from vllama.supervisor.occupancy import disturbs, lacking, occupied
from vllama.supervisor.tenants import Tenant

_LOG = logging.getLogger("vllama.supervisor")
ADVICE: Final = {
    "again": "it was compiled again, and the next start should load it",
    "unkept": "each start compiles again; see that paths.cache can be written and has room",
}
"""What follows from a fault of compiled code (``Compilation.outcome``)."""
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_VISIBLE: Final = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_PATIENCE: Final = 300.0
"""Seconds for a plan: a new engine is asked what it can do, which may take a minute on a slow disk."""
_COMPILERS: Final = 1 << 30
"""Bytes that compilers take next to the engine which starts them."""


class LocalPlanner:
    """Implements ``plans.Planner``; every call looks at the machine again."""

    def __init__(self, loaded: Loaded, environ: Mapping[str, str], machine: Machine | None = None) -> None:
        """``machine``: this one if not given."""
        self._loaded = loaded
        self._machine = machine or ThisMachine()
        self._reads = Reads()
        self._environ = environ
        self._measurements = Measurements(loaded.state)

    async def spec(self, model: Model, tenants: Sequence[Tenant], attempt: int) -> EngineSpec:
        """See ``plans.Planner.spec``. Raises also EngineNotInstalled, ModelUnusable, ConfigError, TimeoutError."""
        plan = partial(self._spec, model, tenants, attempt)
        return await self._reads.done(model.engine_key, plan, _PATIENCE)

    async def room_to_wake(self, sleeper: Tenant, tenants: Sequence[Tenant]) -> None:
        """See ``plans.Planner.room_to_wake``."""
        hardware = self._next_to(tenants, await asyncio.to_thread(self._machine.hardware))
        if missing := lacking(hardware, sleeper):
            kind = "GPU memory" if sleeper.size_vram else "memory"
            raise NoRoomYet(f"there is not enough {kind} next to the models that are loaded", missing=missing)

    async def room_to_compile(self, spec: EngineSpec, tenants: Sequence[Tenant]) -> None:
        """See ``plans.Planner.room_to_compile``."""
        hardware = self._next_to(tenants, await asyncio.to_thread(self._machine.hardware))
        free = hardware.ram_available - hardware.ram_promised
        if hardware.ram_left is not None:
            free = min(free, hardware.ram_left)
        if (missing := spec.size + _COMPILERS - free) > 0:
            raise NoRoomYet("there is not enough memory to compile next to the models that are loaded", missing=missing)

    async def learn(self, spec: EngineSpec, progress: Progress) -> None:
        """See ``plans.Planner.learn``."""
        if spec.code and progress.code and spec.keeps is not None:
            await asyncio.to_thread(CompiledCode(spec.keeps).keep, spec.code, progress.code)
        if not (compilation := progress.compilation).doing:
            await asyncio.to_thread(kept_code.remember, spec, compilation)
        if fault := compilation.fault:
            _LOG.warning("%s: %s: %s", spec.name, fault, ADVICE[compilation.outcome], extra={"model": spec.name})
        if spec.basis is None:
            return
        said = measured(
            spec.basis, weights=progress.weights, kv_memory=progress.kv_memory, kv_tokens=progress.kv_tokens
        )
        if said is not None:
            await asyncio.to_thread(self._measurements.keep, spec.basis.key, said)

    async def distrust(self, spec: EngineSpec, progress: Progress) -> None:
        """See ``plans.Planner.distrust``."""
        doing = progress.compilation.doing
        if await asyncio.to_thread(kept_code.distrust, spec, progress.compilation):
            about = {"model": spec.name}
            _LOG.warning(
                "%s: the engine died %s; that code is removed, the next start compiles", spec.name, doing, extra=about
            )

    def _next_to(self, tenants: Sequence[Tenant], hardware: Hardware) -> Hardware:
        return occupied(hardware, tenants, self._loaded.config.engine.max_ram)

    def _spec(self, model: Model, tenants: Sequence[Tenant], attempt: int) -> EngineSpec:
        spec = self._untraced(model, tenants, attempt)
        receiver = self._loaded.config.observe.otlp
        return traced(spec, receiver, self._machine.engine(self._loaded)) if receiver else spec

    def _untraced(self, model: Model, tenants: Sequence[Tenant], attempt: int) -> EngineSpec:
        loaded = self._loaded
        capabilities = self._machine.engine(loaded)
        hardware = self._machine.hardware().for_backend(capabilities.backend)
        for name in _VISIBLE:
            if name in self._environ:
                hardware = hardware.visible(self._environ[name])
        hardware = self._next_to(tenants, hardware)
        wanted = wanted_settings(model, loaded.config, hardware)
        answer, key = plan_as_measured(
            self._measurements, model, wanted, hardware, version=capabilities.version, attempt=attempt
        )
        found = _planned(answer, model, wanted, hardware)
        if disturbs(found.place, hardware, tenants):
            raise LoadFailed("another engine is starting on the same GPU", code="no_room")
        socket = socket_path(loaded.runtime, model)
        cache, keeps, note = _places(loaded.cache, socket, capabilities, hardware)
        notes = (*found.settings.notes, found.chats, found.sum, *note)
        settings = replace(found.settings, notes=tuple(filter(None, notes)))
        if not kept_code.can_run(cache):
            settings = without_code(settings)
        build = partial(
            build_spec,
            model,
            hardware=hardware,
            capabilities=capabilities,
            name=model.name.short,
            cache=cache,
            keeps=keeps,
            environ=self._environ,
            preload=find_preload(capabilities.python) if hardware.kind == "cpu" else (),
            sleep=loaded.config.engine.sleep,
        )
        spec = replace(build(settings=settings, socket=socket), basis=basis_of(key, found, settings))
        if settings.values.enforce_eager:
            return spec
        eager_first = may_be_eager_first(settings, model.facts.task, hardware, loaded.config.engine.compile)
        eager = replace(build(settings=without_code(settings), socket=socket), basis=spec.basis)
        if keeps is None:  # compiling is wasted then
            return eager if eager_first else spec
        code = code_name(model.digest, capabilities.version, spec.argv, spec.env)
        if not eager_first or CompiledCode(keeps).has(code):
            return replace(spec, code=code)
        compiles = build(
            settings=for_compiling(settings, found.requests), socket=socket.with_suffix(f".c{socket.suffix}")
        )
        name = f"{spec.name} (compiling)"
        return replace(eager, compiles=replace(compiles, code=code, background=True, name=name))


def _planned(answer: Plan | Missing | Refusal, model: Model, wanted: WantedSettings, hardware: Hardware) -> Plan:
    """The plan; raises NoRoomYet or LoadFailed if there is none."""
    if isinstance(answer, Missing):
        raise NoRoomYet(
            f"{too_big(answer.need, answer.place)} next to the models that are loaded",
            missing=answer.bytes,
            hint=parts_of(answer.need),
        )
    if isinstance(answer, Refusal):
        others = alternatives(model.facts, wanted, hardware)
        raise LoadFailed(too_big(answer.need, answer.place), hint=hint_of(answer.need, others), code="too_big")
    return answer


def _places(
    cache: Path, socket: Path, engine: Capabilities, hardware: Hardware
) -> tuple[Path, Path | None, tuple[str, ...]]:
    """The cache directory, the folder for compiled code in it, and a note where neither can be used.

    An engine needs a cache: it then gets a directory that exists as long as the engine.
    """
    keeps = kept_code.folder_of(cache, engine, hardware.cpu)
    if not (reason := kept_code.trouble(keeps)):
        return cache, keeps, ()
    note = f"nothing that it compiles can be kept: {reason}; see paths.cache (vllama doctor looks at it)"
    return scratch_directory(socket) / "cache", None, (note,)


def needs_new_engine(before: Loaded, after: Loaded, model: Model, python: str, machine: Machine | None = None) -> bool:
    """Whether ``model``, whose engine runs in ``python``, would be started in another way under ``after``.

    Looks at the hardware and at what is installed: call it in a thread. ``machine``: this one if not given.
    """
    machine = machine or ThisMachine()
    installed = machine.interpreter(after)
    if python and installed is not None and str(installed) != python:
        return True
    if before.config.observe.otlp != after.config.observe.otlp:
        return True
    gpu_class = machine.hardware().gpu_class
    return configured_settings(model, before.config, gpu_class) != configured_settings(model, after.config, gpu_class)


def socket_path(runtime: Path, model: Model) -> Path:
    """Short (unix sockets end at 107 bytes), readable and unique for the engine."""
    word = _PLAIN.sub("-", model.name.model)[:24]
    return runtime / f"{word}-{sha256(model.engine_key.encode()).hexdigest()[:8]}.sock"
