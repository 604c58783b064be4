"""Keeps what engines report about their memory in ``<state>/measured.json`` for the next plan.

A file that can't be read counts as empty. One that can't be written is no error: plans are only less exact then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from vllama import files
from vllama.fit.hardware import Hardware
from vllama.fit.plan import Missing, Plan, Refusal, plan
from vllama.fit.settings import WantedSettings
from vllama.fit.sums import ReportedMemory
from vllama.models.model import Model

_LOG = logging.getLogger("vllama.fit")
_MOST: Final = 500
"""Entries; the oldest are forgotten."""
_FLAGS: Final = ("dtype", "quantization", "kv_cache_dtype", "tensor_parallel_size", "max_num_batched_tokens",
                 "enforce_eager", "speculative", "extra_args")  # fmt: skip
"""Settings that change what the weights, a token or the rest take."""
_READER: Final = TypeAdapter(dict[str, ReportedMemory])


class Measurements:
    """Owner of the file. Its methods may be called from any thread."""

    def __init__(self, state: Path) -> None:
        self._place = state / "measured.json"
        self._lock = threading.Lock()
        self._known: dict[str, ReportedMemory] | None = None

    def find(self, key: str) -> ReportedMemory | None:
        """What was measured under ``key``: model, flags and device."""
        with self._lock:
            return self._read().get(key)

    def keep(self, key: str, measured: ReportedMemory) -> None:
        """Remember it, and write it down so that after a crash the old or the new file is there, whole."""
        with self._lock:
            known = self._read()
            if known.get(key) == measured:
                return
            known.pop(key, None)
            known[key] = measured
            while len(known) > _MOST:
                del known[next(iter(known))]
            values: dict[str, Any] = {name: asdict(value) for name, value in known.items()}
            try:
                files.replace(self._place, orjson.dumps(values, option=orjson.OPT_INDENT_2))
            except OSError as error:
                _LOG.warning("can't keep the measured memory: %s", error)

    def _read(self) -> dict[str, ReportedMemory]:
        if self._known is None:
            self._known = {}
            with suppress(OSError, ValidationError):
                self._known = _READER.validate_json(files.read(self._place))
        return self._known


def plan_as_measured(
    measurements: Measurements,
    model: Model,
    wanted: WantedSettings,
    hardware: Hardware,
    *,
    version: str,
    attempt: int = 0,
) -> tuple[Plan | Missing | Refusal, str]:
    """The plan, made with what was measured of the same model, flags, device and engine; and the key of those."""
    answer = plan(model.facts, wanted, hardware, attempt=attempt)
    values = answer.settings.values.model_dump() if isinstance(answer, Plan) else wanted.values
    key = _key(model, values, hardware, version)
    measured = measurements.find(key)
    if measured is None:
        return answer, key
    return plan(model.facts, wanted, hardware, measured=measured, attempt=attempt), key


def _key(model: Model, values: Mapping[str, Any], hardware: Hardware, version: str) -> str:
    device = hardware.gpus[0].name if hardware.gpus else hardware.kind
    flags = {flag: found for flag in _FLAGS if (found := values.get(flag))}
    parts = (model.engine_key, model.facts.weight_bytes, flags, device, version)
    return f"{model.name.model} {sha256(orjson.dumps(parts)).hexdigest()[:16]}"
