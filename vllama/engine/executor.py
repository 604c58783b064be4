"""Where an engine's model runs: in its engine core, or in workers, which are processes of their own. Pure.

On a CPU vLLM makes a worker also where there is only one: a further interpreter that imports everything again (seven
seconds, 650 MB) and is asked for each step over shared memory. One model on one CPU needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vllama.fit.hardware import Hardware
from vllama.fit.settings import EffectiveSettings

FLAG: Final = "--distributed-executor-backend"
ONE_PROCESS: Final = "uni"
_PEERS: Final = (
    "--distributed-exec", "--tensor-parallel", "-tp", "--pipeline-parallel", "-pp", "--data-parallel", "-dp",
    "--decode-context-parallel", "-dcp", "--prefill-context-parallel", "-pcp", "--enable-expert-parallel", "-ep",
    "--nnodes", "-n", "--node-rank", "-r", "--master-addr", "--headless", "--api-server-count", "-asc",
    "--kv-transfer-config", "--worker-cls", "--numa-bind", "--config",
)  # fmt: skip
"""How flags begin that speak of other processes."""
_WORKERS: Final = frozenset({"VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_CPU_OMP_THREADS_BIND", "VLLM_CPU_SIM_MULTI_NUMA"})
"""Variables that only mean something to an engine with workers."""


def alone(settings: EffectiveSettings, hardware: Hardware) -> bool:
    """Whether the model runs in the engine core: on a CPU, unless a person's settings speak of workers.

    vLLM binds the threads of workers only, so threads that a person binds need one.
    """
    values = settings.values
    bound = values.cpu_threads not in {None, "nobind"}
    return (
        hardware.kind == "cpu"
        and values.tensor_parallel_size in {None, 1}
        and not (bound and not settings.origins.get("cpu_threads", "").startswith("chosen"))
        and not any(argument.startswith(_PEERS) for argument in values.extra_args)
        and not _WORKERS & values.env.keys()
    )


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
