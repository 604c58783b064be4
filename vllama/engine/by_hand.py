"""The command with which a person starts the same vLLM in a terminal, without vLLama. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vllama.engine.command import ENTRY
from vllama.engine.spec import EngineSpec

_PORT: Final = 8000
"""vLLM's own."""
_LISTENS: Final = ("--host", "127.0.0.1", "--port", str(_PORT))
_FOR_US: Final = {
    "--model": 1,  # given again, in its new place
    "--uds": 1,
    "--disable-uvicorn-access-log": 0,
    "--logging-config.formatter": 1,
    "--shutdown-timeout": 1,
    "--tool-parser-plugin": 1,
}
"""Flags that only our service needs, and how many values each has."""
_COMPUTING: Final = frozenset(
    (
        "CUDA_DEVICE_ORDER",
        "CUDA_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "OMP_NUM_THREADS",
        "VLLM_CPU_OMP_THREADS_BIND",
        "VLLM_ENABLE_V1_MULTIPROCESSING",
        "VLLM_TARGET_DEVICE",
    )
)
"""Variables that decide where and how the model is computed."""
_CHANGES: Final = frozenset(("PYTHONPATH", "VLLM_PLUGINS"))
"""Variables by which vLLM finds our changes to it (``engine.plugins``). A CPU may need them: see ``amx_permission``."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """A command, ready to run."""

    argv: tuple[str, ...]
    env: Mapping[str, str]

    def __str__(self) -> str:
        """For a shell."""
        return " ".join([*(f"{key}={shlex.quote(value)}" for key, value in self.env.items()), shlex.join(self.argv)])


def by_hand(spec: EngineSpec, model: str, own_env: Mapping[str, str], *, elsewhere: bool) -> ByHand:
    """``spec`` for a terminal: it listens on a port of this machine.

    ``model``: a directory or a repository. ``own_env``: variables of the settings. ``elsewhere``: another machine
    runs it, with a vLLM of its own. Here the engine's interpreter runs the module that ``vllm serve`` runs, because
    the script ``vllm`` of the CPU build does not start.
    """
    flags = (*_kept(spec.argv[3:]), *_LISTENS)
    needed = {key: value for key, value in spec.env.items() if key in _COMPUTING}
    if elsewhere:
        return ByHand(("vllm", "serve", model, *flags), {**needed, **own_env})
    env = {key: value for key, value in spec.env.items() if key in needed or key in own_env or key in _CHANGES}
    return ByHand((spec.argv[0], "-m", ENTRY, "--model", model, *flags), env)


def _kept(flags: Sequence[str]) -> Iterator[str]:
    """The flags that a person needs, too."""
    skip = 0
    for flag in flags:
        if skip:
            skip -= 1
        elif flag in _FOR_US:
            skip = _FOR_US[flag]
        else:
            yield flag
