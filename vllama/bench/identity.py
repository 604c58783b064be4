"""What a target is, as far as it reports it: if two differ, their figures don't compare their servers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_SAME_SIZE: Final = 0.02
"""Counts of parameters are rounded for people."""
_SCALES: Final = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_COUNT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMBT]?)")


@dataclass(frozen=True, slots=True)
class Identity:
    """Empty or None: not reported."""

    server: str
    """``vLLama``, ``Ollama``, ``vLLM`` or ``OpenAI API``."""
    version: str = ""
    model: str = ""
    parameters: str = ""
    """Their number as people write it: ``7.6B``."""
    bits: str = ""
    """The level of quantisation: ``BF16``, ``Q4_K_M``, ``FP8``."""
    context: int | None = None
    """Tokens that the running model takes."""


def of_ollama(
    *,
    server: str,
    model: str,
    version: Mapping[str, Any],
    show: Mapping[str, Any],
    loaded: Sequence[Mapping[str, Any]],
) -> Identity:
    """From ``/api/version``, ``/api/show`` and the models of ``/api/ps``, asked while the model is loaded."""
    details = show.get("details") or {}
    running = next((one for one in loaded if same_name(str(one.get("name")), model)), {})
    number = str(version.get("version", ""))
    return Identity(
        server=server,
        version=number if server == "Ollama" else f"API {number}",  # other servers report the version of the API
        model=model,
        parameters=str(details.get("parameter_size", "")),
        bits=str(details.get("quantization_level", "")),
        context=running.get("context_length") or None,
    )


def of_openai(entry: Mapping[str, Any], version: Mapping[str, Any]) -> Identity:
    """From an entry of ``/v1/models`` and vLLM's ``/version``. Bits are missing: vLLM's API does not report them."""
    number = str(version.get("version", ""))
    vllm = entry.get("owned_by") == "vllm" or "max_model_len" in entry
    return Identity(
        server="vLLM" if vllm else "OpenAI API",
        version=number,
        model=str(entry.get("id", "")),
        context=entry.get("max_model_len"),
    )


def differences(first: Identity, other: Identity) -> list[str]:
    """Known differences that make a comparison of both servers meaningless; empty without any."""
    found = []
    if first.parameters and other.parameters and not _same_count(first.parameters, other.parameters):
        found.append(f"parameters {first.parameters} and {other.parameters}")
    if first.bits and other.bits and first.bits.casefold() != other.bits.casefold():
        found.append(f"bits {first.bits} and {other.bits}")
    if first.context and other.context and first.context != other.context:
        found.append(f"context {first.context} and {other.context}")
    return found


def unreported(identity: Identity) -> list[str]:
    """What a person has to look up before trusting a comparison."""
    reported = {"model": identity.model, "parameters": identity.parameters, "bits": identity.bits}
    reported |= {"context": str(identity.context or ""), "version": identity.version}
    return [what for what, value in reported.items() if not value]


def described(name: str, identity: Identity) -> str:
    """One line for people: ``ollama: Ollama 0.33.0, qwen3:0.6b, 751.63M, Q4_K_M, context 4096``."""
    parts = [f"{identity.server} {identity.version}".strip(), identity.model, identity.parameters, identity.bits]
    parts.append(f"context {identity.context}" if identity.context else "")
    text = f"{name}: {', '.join(part for part in parts if part)}"
    missing = unreported(identity)
    return f"{text} (not reported: {', '.join(missing)})" if missing else text


def same_name(one: str, other: str) -> bool:
    """Whether two names mean one model."""
    return one.casefold().removesuffix(":latest") == other.casefold().removesuffix(":latest")


def _same_count(one: str, other: str) -> bool:
    first, second = _count(one), _count(other)
    if first is None or second is None:
        return one.casefold() == other.casefold()
    return abs(first - second) <= _SAME_SIZE * max(first, second)


def _count(text: str) -> float | None:
    match = _COUNT.fullmatch(text.strip().upper())
    return float(match[1]) * _SCALES[match[2]] if match else None
