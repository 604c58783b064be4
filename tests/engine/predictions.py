"""Plans a model, starts the real engine as planned, and holds the sums against what it logs."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from tests.installed_engine import engine_prefix, installed_engine
from vllama.config.schema import Config
from vllama.engine.command import build_spec
from vllama.engine.preload import find_preload
from vllama.engine.process import EngineProcess
from vllama.fit.gpu import detect
from vllama.fit.memory import element_bytes
from vllama.fit.plan import Plan, plan
from vllama.fit.settings import wanted_settings
from vllama.models.facts import read_facts
from vllama.models.files import read_files
from vllama.models.model import Model
from vllama.models.names import parse_name

_PATIENCE: Final = 600.0
_CHECKPOINT: Final = re.compile(r"Checkpoint size: ([\d.]+) GiB")
_CONFIG: Final = Config.model_validate({"profiles": {"small": {"kv_cache_memory": "512MiB", "enforce_eager": True}}})


@dataclass(frozen=True, slots=True)
class Held:
    """Predicted and measured."""

    context: int
    requests: tuple[float, float]
    """Of the whole context, at once in the KV cache."""
    kv_per_request: tuple[float, float]
    """Bytes."""
    weights: tuple[float, float]
    """Bytes; measured are those of the files, in the precision that is computed in."""

    def row(self, kind: str) -> str:
        """One line of a table for people."""
        kv, weights = self.kv_per_request, self.weights
        return (
            f"{kind:16} {kv[0] / self.context:9.0f} {kv[1] / self.context:9.0f} {off(kv):+6.2f} %"
            f" {weights[0] / 2**20:9.1f} {weights[1] / 2**20:9.1f} {off(weights):+6.2f} %"
        )


HEADER: Final = f"{'':16} {'KV bytes a token':>19} {'':8} {'weights, MiB':>19}\n{'':16} {'predicted':>9} {'measured':>9} {'':8} {'predicted':>9} {'measured':>9}"  # noqa: E501 - a table's head


async def hold(place: Path, caplog: pytest.LogCaptureFixture) -> Held:
    """Start the engine for the model in ``place`` until it has made its KV cache."""
    model = _model(place)
    engine, hardware = installed_engine(), detect().for_backend("cpu")
    planned = plan(model.facts, wanted_settings(model, _CONFIG, hardware), hardware)
    assert isinstance(planned, Plan), planned
    with tempfile.TemporaryDirectory(prefix="vl-") as runtime:
        spec = build_spec(
            model,
            planned.settings,
            hardware,
            engine,
            name=model.name.model,
            socket=Path(runtime) / "e.sock",
            cache=engine_prefix().parent / "cache",
            environ=os.environ,
            preload=find_preload(engine.python),
        )
        process = EngineProcess(spec, lambda _: None)
        with caplog.at_level(logging.INFO, logger="vllama.engine"):
            process.spawn()
            try:
                await _until_cache(process)
            finally:
                await process.stop(gentle=False)
                await process.wait()
    checkpoint = _CHECKPOINT.search(caplog.text)
    assert checkpoint is not None, caplog.text
    context, kv = planned.settings.context, planned.settings.values.kv_cache_memory
    assert kv is not None
    measured = process.progress.kv_tokens / context
    widened = element_bytes(planned.settings.values.dtype) / element_bytes(model.facts.dtype)
    return Held(
        context=context,
        requests=(planned.requests, measured),
        kv_per_request=(planned.settings.estimate.kv_cache / planned.requests, kv / measured),
        weights=(planned.settings.estimate.weights, float(checkpoint[1]) * 2**30 * widened),
    )


async def _until_cache(process: EngineProcess) -> None:
    exited = asyncio.create_task(process.exited())
    try:
        async with asyncio.timeout(_PATIENCE):
            while not process.progress.kv_tokens:
                assert not exited.done(), "the engine ended before it had a KV cache (its log is below)"
                await asyncio.wait({exited}, timeout=0.2)
    finally:
        exited.cancel()


def _model(place: Path) -> Model:
    name = parse_name(place.name)
    assert name is not None
    facts = read_facts(read_files(place), installed_engine().registry)
    return Model(name, place, facts, sha256(place.name.encode()).hexdigest(), 1, 0.0)


def off(pair: tuple[float, float]) -> float:
    """How far the prediction is from the measurement, in percent."""
    predicted, measured = pair
    return (predicted / measured - 1) * 100
