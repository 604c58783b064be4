from __future__ import annotations

from typing import Any

import pytest

from tests.unit.engine.test_command import build
from tests.unit.fit.machines import cpu, gpu
from vllama.engine.executor import FLAG
from vllama.fit.hardware import Hardware

MULTIPROCESSING = "VLLM_ENABLE_V1_MULTIPROCESSING"


def settings(**values: Any) -> dict[str, Any]:
    return {"profiles": {"small": values}}


def executor(hardware: Hardware | None = None, **values: Any) -> tuple[str | None, str | None]:
    """What the command line says of the executor, and what vLLM needs in its environment to heed it."""
    spec = build(hardware=hardware, config=settings(**values))
    said = spec.argv[spec.argv.index(FLAG) + 1] if FLAG in spec.argv else None
    return said, spec.env.get(MULTIPROCESSING)


def test_a_model_on_a_cpu_runs_in_its_engine_core_with_a_thread_for_each_core():
    assert executor() == ("uni", "0")
    for cores in ((5,), (0, 1, 4, 5)):
        env = build(hardware=cpu(cores=cores)).env
        assert (env["OMP_NUM_THREADS"], env["VLLM_CPU_OMP_THREADS_BIND"]) == (str(len(cores)), "nobind")


def test_a_model_on_a_gpu_is_left_to_vllm():
    assert executor(gpu(80)) == (None, None)
    assert "OMP_NUM_THREADS" not in build(hardware=gpu(80)).env


@pytest.mark.parametrize(
    "values",
    [
        {"tensor_parallel_size": 2},
        {"cpu_threads": "0-1"},
        {"extra_args": ["--pipeline-parallel-size", "2"]},
        {"extra_args": ["--nnodes=2"]},
        {"env": {"VLLM_CPU_OMP_THREADS_BIND": "0-3"}},
    ],
)
def test_settings_that_need_workers_get_workers(values):
    assert executor(**values) == (None, None)


def test_a_persons_own_executor_is_the_only_one_on_the_command_line():
    spec = build(config=settings(extra_args=[FLAG, "mp"]))
    assert spec.argv.count(FLAG) == 1
    assert MULTIPROCESSING not in spec.env


def test_unbound_threads_need_no_worker_and_their_number_is_a_persons():
    assert executor(cpu_threads="nobind") == ("uni", "0")
    env = build(config=settings(cpu_threads="nobind", env={"OMP_NUM_THREADS": "1"})).env
    assert env["OMP_NUM_THREADS"] == "1"
