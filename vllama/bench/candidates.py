"""Which settings are worth a try on a kind of machine. Pure.

A few values around those that hold, one setting at a time: an engine must be started for each. Nothing that changes
what a model says (types, quantisation), how much it can read (context), or how soon it starts (compilation).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vllama.fit.hardware import Hardware, cpu_list

AS_IT_IS: Final = "as it is"
_NARROW, _USUAL, _WIDE, _WIDEST = 1024, 2048, 4096, 8192
_STEPS: Final[Mapping[str, tuple[int, ...]]] = {
    # On slow processors, wide steps make every request wait for the slowest prefill. With little memory, they take away
    # KV cache. On the fastest cards, 2048 tokens leave computing units idle.
    "cpu": (_NARROW, _USUAL, _WIDE),
    "16": (_NARROW, _USUAL, _WIDE),
    "24": (_USUAL, _WIDE, _WIDEST),
    "32": (_USUAL, _WIDE, _WIDEST),
    "80": (_WIDE, _WIDEST, 2 * _WIDEST),
    "141": (_WIDE, _WIDEST, 2 * _WIDEST),
}
"""Tokens of a step by the class of the machine."""
_VLLM_STEP: Final = 2048
"""vLLM's own, on all machines whose profile sets no other."""
_SEQUENCES: Final[Mapping[str, tuple[int, ...]]] = {
    "cpu": (16, 64),
    "16": (32, 128),
    "24": (64, 256),
    "32": (64, 256),
    "80": (256, 1024),
    "141": (256, 1024),
}
"""Requests that are computed together."""
_THREADS: Final = "OMP_NUM_THREADS"
"""The engine's variable for the number of threads that compute. They are not bound to cores."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings to try, by the fields of ``config.schema.Settings``."""

    changes: Mapping[str, Any]

    @property
    def name(self) -> str:
        """For people: ``max_num_seqs 64, env OMP_NUM_THREADS=3``."""
        return ", ".join(f"{key} {_written(value)}" for key, value in self.changes.items()) or AS_IT_IS


def candidates(hardware: Hardware, values: Mapping[str, Any], decided: frozenset[str]) -> tuple[Candidate, ...]:
    """What to try in addition to the current settings, ``values``. A person's own are ``decided`` and stay."""
    found = [*_steps(hardware, values), *_sequences(hardware, values), *_threads(hardware, values)]
    return tuple(Candidate({key: value}) for key, value in found if key not in decided)


def _steps(hardware: Hardware, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    now = values.get("max_num_batched_tokens") or _VLLM_STEP
    for tokens in _STEPS[hardware.gpu_class]:
        if tokens != now:
            yield "max_num_batched_tokens", tokens


def _sequences(hardware: Hardware, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    now = values.get("max_num_seqs")
    for number in _SEQUENCES[hardware.gpu_class]:
        if number != now:
            yield "max_num_seqs", number


def _threads(hardware: Hardware, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """On a CPU: a core left to the API server, all hardware threads of the cores, and threads bound to the cores."""
    if hardware.kind != "cpu":
        return
    env = values.get("env") or {}
    now = len(hardware.computing)
    for count in dict.fromkeys((now - 1, len(hardware.cores))):
        if count not in {0, now} and _THREADS not in env:
            yield "env", {**env, _THREADS: str(count)}
    if now > 1 and _THREADS not in env:
        yield "cpu_threads", cpu_list(hardware.computing)


def together(winners: Mapping[str, Candidate]) -> Candidate | None:
    """The best of each setting at once; None where there are not two of them."""
    if len(winners) < 2:
        return None
    return Candidate({key: value for winner in winners.values() for key, value in winner.changes.items()})


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={text}" for name, text in value.items())
    return str(value)
