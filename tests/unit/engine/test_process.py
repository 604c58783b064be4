"""Real processes: what is spawned is drained, and what is ended is gone with everything it started."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.processes import alive
from vllama.engine.process import EngineProcess
from vllama.engine.spec import EngineSpec
from vllama.errors import LoadFailed

# prints a stage, starts a grandchild that ignores SIGTERM, says its pid, waits
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"],
    stdout=subprocess.PIPE)
child.stdout.readline()
print("Starting to load model x...", flush=True)
print("child", child.pid, flush=True)
time.sleep(600)
"""


def spec(tmp_path: Path, *argv: str) -> EngineSpec:
    return EngineSpec("mini", argv, dict(os.environ), tmp_path / "run" / "e.sock", "mini", "generate")


async def started(tmp_path: Path, *argv: str) -> tuple[EngineProcess, asyncio.Queue[str]]:
    stages: asyncio.Queue[str] = asyncio.Queue()
    process = EngineProcess(spec(tmp_path, *argv), stages.put_nowait)
    process.spawn()
    return process, stages


def session(pid: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == pid and alive(process.pid):
                found.append(process)
    return found


@pytest.mark.parametrize("gentle", [True, False])
async def test_nothing_of_the_session_survives_a_stop(tmp_path, gentle):
    process, stages = await started(tmp_path, sys.executable, "-c", PARENT)
    assert await stages.get() == "loading weights"
    pid = process.pid
    assert len(session(pid)) == 2
    await process.stop(gentle=gentle)
    await process.wait()
    assert session(pid) == []


async def test_children_of_a_killed_parent_are_buried_too(tmp_path):
    process, stages = await started(tmp_path, sys.executable, "-c", PARENT)
    await stages.get()
    pid = process.pid
    os.kill(pid, 9)
    cause = await process.wait()
    assert cause.code == "killed"
    assert session(pid) == []


async def test_a_flood_of_output_does_not_block_the_child(tmp_path):
    code = "import sys\nfor _ in range(20000): print('x' * 200); print('y' * 200, file=sys.stderr)"
    process, _ = await started(tmp_path, sys.executable, "-c", code)
    cause = await process.wait()
    assert "status 0" in cause.text


async def test_bars_that_use_carriage_returns_are_read_as_lines(tmp_path):
    bar = "Loading safetensors checkpoint shards: {}% Completed"
    code = f"print({bar.format(50)!r} + chr(13) + {bar.format(100)!r})"
    process, stages = await started(tmp_path, sys.executable, "-c", code)
    await process.wait()
    assert [stages.get_nowait(), stages.get_nowait()] == ["loading weights 50 %", "loading weights 100 %"]


async def test_the_cause_comes_from_the_last_lines(tmp_path):
    process, _ = await started(
        tmp_path, sys.executable, "-c", "import sys; sys.exit('vllm: error: unrecognized arguments: --nope')"
    )
    cause = await process.wait()
    assert (cause.code, cause.permanent) == ("bad_flag", True)


async def test_an_interpreter_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(LoadFailed, match="can't start the engine's interpreter"):
        await started(tmp_path, "/nonexistent/python")


async def test_a_stale_socket_is_removed_before_the_start(tmp_path):
    socket = tmp_path / "run" / "e.sock"
    socket.parent.mkdir()
    socket.touch()
    process, _ = await started(tmp_path, sys.executable, "-c", f"import os; print(os.path.exists({str(socket)!r}))")
    await process.wait()
    assert not socket.exists()


async def test_a_directory_that_can_not_be_made_starts_nothing(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OSError, match="run"):
        await started(tmp_path, sys.executable, "-c", PARENT)


async def test_without_a_free_descriptor_nothing_is_left_half_started(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = {process.pid for process in psutil.Process().children()}
    process, refused = None, set()
    for limit in range(3, soft):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            process, _ = await started(tmp_path, sys.executable, "-c", "import time; time.sleep(600)")
            break
        except OSError as error:
            refused.add(error.errno)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert {process.pid for process in psutil.Process().children()} == before
    assert process is not None
    assert refused == {errno.EMFILE}
    await process.end()
    assert session(process.pid) == []
    assert (await process.wait()).code == "killed"


async def test_ending_what_was_never_started_or_is_gone_is_no_fault(tmp_path):
    process = EngineProcess(spec(tmp_path, "true"), lambda _: None)
    await process.end()
    process, _ = await started(tmp_path, "true")
    await process.wait()
    await process.end()


async def test_a_process_in_the_background_runs_only_when_nothing_else_does_and_can_stand_still(tmp_path):
    stages: asyncio.Queue[str] = asyncio.Queue()
    process = EngineProcess(replace(spec(tmp_path, sys.executable, "-c", PARENT), background=True), stages.put_nowait)
    process.spawn()
    assert await stages.get() == "loading weights"
    family = session(process.pid)
    assert len(family) == 2
    assert [(one.nice(), os.sched_getscheduler(one.pid)) for one in family] == [(19, os.SCHED_IDLE)] * 2
    process.pause(paused=True)
    await until_status(family, stopped=True)
    process.pause(paused=False)
    await until_status(family, stopped=False)
    process.pause(paused=True)
    await process.end()
    await process.wait()
    assert session(family[0].pid) == []
    process.pause(paused=True)


async def until_status(family: list[psutil.Process], *, stopped: bool) -> None:
    async with asyncio.timeout(10):
        while any((one.status() == psutil.STATUS_STOPPED) != stopped for one in family):
            await asyncio.sleep(0.01)
