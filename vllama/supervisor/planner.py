"""How to start a model's engine on this machine, now: asks files, hardware and the installed engine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from vllama.config.load import Loaded
from vllama.engine.command import build_spec
from vllama.engine.install import locate
from vllama.engine.preload import find_preload
from vllama.engine.spec import EngineSpec
from vllama.fit.gpu import detect
from vllama.fit.settings import configured_settings, effective_settings
from vllama.models.model import Model

_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


class Planner:
    """Callable as ``loop.Planner``; every call looks at the machine afresh."""

    def __init__(self, loaded: Loaded, environ: Mapping[str, str]) -> None:
        self._loaded = loaded
        self._environ = environ

    async def __call__(self, model: Model) -> EngineSpec:
        """Raises EngineNotInstalled, ModelUnusable, ConfigError."""
        return await asyncio.to_thread(self._plan, model)

    def _plan(self, model: Model) -> EngineSpec:
        loaded = self._loaded
        capabilities = locate(loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache)
        hardware = detect().for_backend(capabilities.backend)
        settings = effective_settings(model, loaded.config, hardware)
        return build_spec(
            model,
            settings,
            hardware,
            capabilities,
            name=model.name.short,
            socket=socket_path(loaded.runtime, model),
            cache=loaded.cache,
            environ=self._environ,
            preload=find_preload(capabilities.python) if hardware.kind == "cpu" else (),
        )


def needs_new_engine(before: Loaded, after: Loaded, model: Model) -> bool:
    """Whether ``model`` would be started in another way under ``after``. Looks at the hardware: call it in a thread."""
    if (before.config.engine.python, before.engine_prefix) != (after.config.engine.python, after.engine_prefix):
        return True
    gpu_class = detect().gpu_class
    return configured_settings(model, before.config, gpu_class) != configured_settings(model, after.config, gpu_class)


def socket_path(runtime: Path, model: Model) -> Path:
    """Short (unix sockets end at 107 bytes), readable and unique for the engine."""
    word = _PLAIN.sub("-", model.name.model)[:24]
    return runtime / f"{word}-{sha256(model.engine_key.encode()).hexdigest()[:8]}.sock"
