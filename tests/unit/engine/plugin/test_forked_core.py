"""An engine core is forked where nothing can go wrong by it, and shares nothing with its parent that it must not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vllama_engine import forked_core
from vllama_engine.changing import Unfit

from tests.processes import until_gone
from vllama.engine import plugins

PARENT = """
import json, multiprocessing, os, select, signal, socket, sys, time
from types import SimpleNamespace as Some
from vllama_engine import forked_core

class UniProcExecutor: pass

def core(report):
    descriptors = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    kinds = [os.readlink(descriptor) for descriptor in descriptors if os.path.exists(descriptor)]
    shared = [kind for kind in kinds if kind.startswith(("socket:", "anon_inode:"))]
    handler = signal.getsignal(signal.SIGTERM)
    report.send([os.getpid(), shared, handler == signal.SIG_DFL])
    time.sleep(600)

class CoreEngineProcManager:
    def __init__(self, local_engine_count, vllm_config, executor_class):
        mine, its = multiprocessing.Pipe(duplex=False)
        self.process = engine.get_mp_context().Process(target=core, args=(its,), name="EngineCore")
        self.process.start()
        self.said = mine.recv()

engine = Some(CoreEngineProcManager=CoreEngineProcManager, get_mp_context=lambda: sys.exit("spawned"))
forked_core.apply(engine)
listening = socket.socket(socket.AF_UNIX); listening.bind(sys.argv[1]); listening.listen()
loop = select.epoll()
ours, other = socket.socketpair(); ours.setblocking(False); signal.set_wakeup_fd(ours.fileno())
signal.signal(signal.SIGTERM, lambda *_: None)
parallel = Some(data_parallel_size=1, world_size=1, numa_bind=False)
config = Some(parallel_config=parallel, device_config=Some(device_type="cpu"))
manager = engine.CoreEngineProcManager(1, vllm_config=config, executor_class=UniProcExecutor)
print(json.dumps(manager.said), flush=True)
listening.accept()
"""


class UniProcExecutor:
    """Named as vLLM's."""


class MultiprocExecutor:
    """Named as vLLM's."""


def config(device: str = "cpu", **parallel: Any) -> SimpleNamespace:
    usual = {"data_parallel_size": 1, "world_size": 1, "numa_bind": False}
    return SimpleNamespace(
        parallel_config=SimpleNamespace(**{**usual, **parallel}), device_config=SimpleNamespace(device_type=device)
    )


async def test_a_forked_core_shares_no_socket_and_no_signal_and_ends_with_its_parent(tmp_path: Path):
    parent = subprocess.Popen(  # noqa: ASYNC220 - it is started in an instant
        [sys.executable, "-c", PARENT, str(tmp_path / "s")],
        env={**os.environ, "PYTHONPATH": str(plugins.FOLDER)},
        stdout=subprocess.PIPE,
    )
    try:
        assert parent.stdout is not None
        core, shared, default = json.loads(parent.stdout.readline())
        assert core != parent.pid
        assert (shared, default) == ([], True)
    finally:
        parent.kill()
        parent.communicate()
    await until_gone([core], 10)


def test_only_one_core_that_computes_on_a_cpu_in_its_own_process_is_forked():
    assert forked_core.forkable(config(), UniProcExecutor, 1)
    assert not forked_core.forkable(config(), MultiprocExecutor, 1)
    assert not forked_core.forkable(config("cuda"), UniProcExecutor, 1)
    assert not forked_core.forkable(config(), UniProcExecutor, 2)
    for parallel in ({"data_parallel_size": 2}, {"world_size": 2}, {"numa_bind": True}):
        assert not forked_core.forkable(config(**parallel), UniProcExecutor, 1)


def tasks(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        task = folder / str(os.getpid() + number)
        task.mkdir()
        (task / "comm").write_text(f"{name}\n")
    return folder


@pytest.mark.parametrize(
    ("names", "others"),
    [(["python"], []), (["python", "ZMQbg/Reaper", "ZMQbg/IO/0"], []), (["python", "omp"], ["omp"])],
)
def test_a_thread_that_may_hold_a_lock_forbids_a_fork(tmp_path: Path, names: list[str], others: list[str]):
    assert forked_core.other_threads(tasks(tmp_path, *names), lambda: [threading.main_thread()]) == others


def test_a_thread_that_has_not_named_itself_yet_is_waited_for():
    seen = iter([["python"], ["python"], []])
    assert forked_core.lasting(lambda: next(seen)) == []
    assert forked_core.lasting(lambda: ["omp"], 0.0) == ["omp"]


def test_a_second_python_thread_forbids_a_fork(tmp_path: Path):
    threads = [threading.main_thread(), threading.Thread(name="second")]
    assert forked_core.other_threads(tasks(tmp_path, "python"), lambda: threads) == ["second"]


def test_what_can_not_be_forked_is_started_as_ever():
    class Manager:
        def __init__(self, local_engine_count, vllm_config, executor_class):
            self.context = engine.get_mp_context()

    engine = SimpleNamespace(CoreEngineProcManager=Manager, get_mp_context=lambda: "spawn")
    forked_core.apply(engine)
    assert engine.CoreEngineProcManager(1, config("cuda"), UniProcExecutor).context == "spawn"
    assert engine.get_mp_context() == "spawn"


def test_a_vllm_with_another_manager_is_left_alone():
    class Manager:
        def __init__(self, cores):
            self.cores = cores

    engine = SimpleNamespace(CoreEngineProcManager=Manager, get_mp_context=lambda: "spawn")
    with pytest.raises(Unfit):
        forked_core.apply(engine)
    assert engine.CoreEngineProcManager(1).cores == 1
