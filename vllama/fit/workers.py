"""Decides whether an engine on a CPU needs worker processes to run its model. Pure.

Without one the model runs in the engine core. Then the engine is two processes instead of three, and holds less memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

_PEERS: Final = (
    "--distributed-exec", "--tensor-parallel", "-tp", "--pipeline-parallel", "-pp", "--data-parallel", "-dp",
    "--decode-context-parallel", "-dcp", "--prefill-context-parallel", "-pcp", "--enable-expert-parallel", "-ep",
    "--nnodes", "-n", "--node-rank", "-r", "--master-addr", "--headless", "--api-server-count", "-asc",
    "--kv-transfer-config", "--worker-cls", "--numa-bind", "--config",
)  # fmt: skip
"""How flags begin that speak of other processes."""
_WORKERS: Final = frozenset({"VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_CPU_OMP_THREADS_BIND", "VLLM_CPU_SIM_MULTI_NUMA"})
"""Variables that only mean something to an engine with workers."""


def needs_workers(values: Mapping[str, Any], written: Callable[[str], bool]) -> bool:
    """Whether a person's settings speak of workers. ``written``: whether a person wrote a setting, by its name.

    vLLM binds the threads of workers only, so threads that a person binds need one.
    """
    return (
        values.get("tensor_parallel_size") not in {None, 1}
        or (written("cpu_threads") and values.get("cpu_threads") not in {None, "nobind"})
        or any(argument.startswith(_PEERS) for argument in values.get("extra_args") or ())
        or bool(_WORKERS & (values.get("env") or {}).keys())
    )
