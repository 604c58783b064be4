"""An idle engine's processes move their memory to swap space when they are asked to; no other process is touched."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from vllama_engine import paging as inside

from vllama.engine.paging import listens, page_out
from vllama.engine.plugins import FOLDER, PAGING
from vllama.errors import EngineError

ENGINE = """
import subprocess, sys
from vllama_engine.paging import offer
offer()
memory = bytearray(b"x" * (8 << 20))
deaf = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
print(deaf.pid, flush=True)
while sys.stdin.readline():
    print(memory[-1], flush=True)
deaf.communicate()
"""


@contextmanager
def engine(scratch: Path, **env: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that listens if it is to, and one below it that does not."""
    given = {**os.environ, "PYTHONPATH": str(FOLDER), "TMPDIR": str(scratch), **env}
    process = subprocess.Popen(
        [sys.executable, "-c", ENGINE], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.communicate()


async def test_every_process_that_listens_does_it_and_goes_on(tmp_path: Path):
    with engine(tmp_path, **{PAGING: "1"}) as (process, deaf):
        assert (listens(process.pid), listens(deaf)) == (True, False)
        for _ in range(2):
            await page_out(process.pid, tmp_path, 20)
            assert not (tmp_path / f"paged.{process.pid}").exists()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("still there?\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{ord('x')}\n"


async def test_an_engine_that_is_not_to_sleep_is_left_alone(tmp_path: Path):
    with engine(tmp_path) as (process, _):
        assert not listens(process.pid)
        with pytest.raises(EngineError, match="none of its processes"):
            await page_out(process.pid, tmp_path, 20)
        assert process.poll() is None


async def test_one_that_does_not_do_it_in_time_is_reported(tmp_path: Path):
    with (
        engine(tmp_path, **{PAGING: "1", "TMPDIR": "/nonexistent"}) as (process, _),
        pytest.raises(EngineError, match="within 0 s"),
    ):
        await page_out(process.pid, tmp_path, 0.2)


async def test_one_that_has_ended_is_not_waited_for(tmp_path: Path):
    with engine(tmp_path, **{PAGING: "1"}) as (process, _):
        _stop(process.pid)
        asked = asyncio.create_task(page_out(process.pid, tmp_path, 20))
        while not _asked(process.pid):
            await asyncio.sleep(0.01)
        process.kill()
        await asked


def _stop(pid: int) -> None:
    """Returns when the process has stopped: one that still runs would take the signal."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


def _asked(pid: int) -> bool:
    """Whether the stopped process has been sent the signal."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool((int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)) >> (signal.SIGUSR1 - 1) & 1)


def test_both_sides_speak_of_the_same():
    assert inside.WANTED == PAGING
