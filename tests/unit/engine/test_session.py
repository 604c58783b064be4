"""What is counted and tidied up of processes that come and go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import until_gone
from tests.unit.engine.test_process import PARENT, started
from vllama.engine.session import living, tidy

BURN = "import time\nwhile time.process_time() < {}: pass\n"
# three compilers, one after the other: none of them lives when the sum is asked for
COMPILING = f"""
import subprocess, sys, time
for _ in range(3):
    subprocess.run([sys.executable, "-Sc", {BURN.format(0.3)!r}], check=True)
print("Starting to load model x...", flush=True)
time.sleep(600)
"""
# nobody waits for the first, so that what it used is lost with it; the second starts when the first has ended
FORGETTING = f"""
import os, signal, subprocess, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
first = {BURN.format(0.6)!r} + "print('Starting to load model x...', flush=True); time.sleep(600)"
bar = "Loading safetensors checkpoint shards: 50% Completed"
second = {BURN.format(0.3)!r} + f"print({{bar!r}}, flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-Sc", first])
try:
    os.wait()
except ChildProcessError:
    pass
subprocess.Popen([sys.executable, "-Sc", second])
time.sleep(600)
"""


def left_by(pid: int, folder: Path = Path("/dev/shm")) -> Path:
    return folder / f"__KMP_REGISTERED_LIB_{pid}_{os.getuid()}"


async def test_what_children_used_that_have_ended_is_counted(tmp_path):
    process, stages = await started(tmp_path, sys.executable, "-c", COMPILING)
    assert await stages.get() == "loading weights"
    assert process.cpu_seconds() >= 0.9
    await process.stop(gentle=False)
    await process.wait()


async def test_the_sum_never_falls_and_grows_on_when_a_process_is_lost_from_it(tmp_path):
    process, stages = await started(tmp_path, sys.executable, "-c", FORGETTING)
    assert await stages.get() == "loading weights"
    before = process.cpu_seconds()
    assert before >= 0.6
    (first,) = living(process.pid) - {process.pid}
    os.kill(first, signal.SIGKILL)
    await until_gone([first], 10)
    between = process.cpu_seconds()
    assert between >= before
    assert await stages.get() == "loading weights 50 %"
    assert process.cpu_seconds() >= between + 0.2
    await process.stop(gentle=False)
    await process.wait()


@pytest.mark.parametrize("how", ["gentle", "at once", "killed by others"])
async def test_nothing_of_an_engine_stays_in_shared_memory_and_what_is_others_stays(tmp_path, how):
    process, stages = await started(tmp_path, sys.executable, "-c", PARENT)
    await stages.get()
    files = [left_by(pid) for pid in living(process.pid)]
    assert len(files) == 2
    others = left_by(os.getpid())
    for file in (*files, others):
        file.touch()
    try:
        if how == "killed by others":
            for pid in living(process.pid):
                os.kill(pid, signal.SIGKILL)
        else:
            await process.stop(gentle=how == "gentle")
        await process.wait()
        assert [file for file in files if file.exists()] == []
        assert others.exists()
    finally:
        for file in (*files, others):
            file.unlink(missing_ok=True)


async def test_one_that_is_killed_before_it_says_anything_leaves_nothing_in_shared_memory(tmp_path):
    process, _ = await started(tmp_path, sys.executable, "-c", "import time; time.sleep(600)")
    left = left_by(process.pid)
    left.touch()
    try:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        assert not left.exists()
    finally:
        left.unlink(missing_ok=True)


def test_files_of_the_living_and_of_other_users_are_left_alone(tmp_path):
    ended = subprocess.Popen([sys.executable, "-Sc", ""])
    ended.wait()
    files = [left_by(os.getpid(), tmp_path), left_by(ended.pid, tmp_path)]
    for file in files:
        file.touch()
    tidy([os.getpid(), ended.pid], tmp_path, os.getuid() + 1)
    assert all(file.exists() for file in files)
    tidy([os.getpid(), ended.pid], tmp_path)
    assert [file.exists() for file in files] == [True, False]


# an engine whose shared memory is looked after by Python's resource tracker, as that of vLLM's message queues
SHARING = """
import time
from multiprocessing.shared_memory import SharedMemory
memory = SharedMemory("vllama-test-{}", create=True, size=4096)
print("Starting to load model x...", flush=True)
time.sleep(600)
"""


def memory_is_there() -> bool:
    return Path(f"/dev/shm/vllama-test-{os.getpid()}").exists()


@pytest.mark.parametrize("how", ["stopped", "killed by others"])
async def test_the_tracker_of_a_killed_engine_removes_its_shared_memory_and_is_gone_too(tmp_path, how):
    process, stages = await started(tmp_path, sys.executable, "-c", SHARING.format(os.getpid()))
    await stages.get()
    assert memory_is_there()
    session = process.pid
    if how == "stopped":
        await process.stop(gentle=False)
    else:
        os.kill(session, signal.SIGKILL)
    await process.wait()
    assert not memory_is_there()
    assert living(session) == set()
