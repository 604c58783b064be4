"""Decides whether an engine's model runs in its engine core or in worker processes. Pure.

On a CPU vLLM makes a worker also where there is only one: a further interpreter that imports everything again (seven
seconds, 650 MB) and is asked for each step over shared memory. One model on one CPU needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vllama.fit.hardware import Hardware
from vllama.fit.settings import EffectiveSettings
from vllama.fit.workers import needs_workers

FLAG: Final = "--distributed-executor-backend"
ONE_PROCESS: Final = "uni"


def alone(settings: EffectiveSettings, hardware: Hardware) -> bool:
    """Whether the model runs in the engine core: on a CPU, unless a person's settings speak of workers."""

    def written(name: str) -> bool:
        return not settings.origins.get(name, "chosen").startswith("chosen")

    return hardware.kind == "cpu" and not needs_workers(settings.values.model_dump(), written)


def environment(hardware: Hardware) -> Mapping[str, str]:
    """What an engine needs in order to run ``alone``.

    vLLM takes the executor from its flag only with its multiprocessing off; its engine core stays a process of its own.
    OpenMP's threads are as many as cores. OpenBLAS, on which nothing of vLLM's computes, and the tokenizer, which works
    on one text at a time, get no threads of their own. Theirs would run before the engine core starts, which then could
    not be forked.
    """
    return {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(len(hardware.computing)),
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
