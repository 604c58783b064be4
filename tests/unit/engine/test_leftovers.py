"""Stale pid files: what an earlier daemon left is stopped, a stranger who has its number now is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import alive
from vllama.engine.leftovers import boot_id, remember, sweep
from vllama.engine.session import living, start_time

Begin = Callable[..., "Session"]

LEADER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"],
    stdout=subprocess.PIPE, env={"TMPDIR": sys.argv[1]} if sys.argv[1] else {})
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


class Session:
    """A process and its child, in a session of their own, as an engine has them."""

    def __init__(self, mark: str = "") -> None:
        """``mark``: what the child has as its TMPDIR."""
        argv = [sys.executable, "-c", LEADER, mark]
        self.leader = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
        assert self.leader.stdout is not None
        with self.leader.stdout as said:
            self.child = int(said.readline())

    def orphan(self) -> None:
        """End the leader, and only it."""
        self.leader.kill()
        self.leader.wait()

    def end(self) -> None:
        for pid in living(self.leader.pid):
            os.kill(pid, signal.SIGKILL)
        self.leader.kill()
        self.leader.wait()


@pytest.fixture
def begin() -> Iterator[Begin]:
    begun: list[Session] = []

    def make(mark: str = "") -> Session:
        begun.append(Session(mark))
        return begun[-1]

    yield make
    for session in begun:
        session.end()


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    return tmp_path / "mini-01234567.pid"


def test_a_sweep_stops_what_an_earlier_daemon_left(begin: Begin, pid_file: Path):
    left = begin()
    remember(pid_file, left.leader.pid)
    assert sweep(pid_file) == 2
    assert not alive(left.child)
    assert not pid_file.exists()


def test_it_stops_the_processes_that_outlived_their_leader(begin: Begin, pid_file: Path):
    left = begin(str(pid_file.parent / "01234567"))
    remember(pid_file, left.leader.pid)
    left.orphan()
    assert sweep(pid_file) == 1
    assert not alive(left.child)


def test_the_files_of_a_killed_engine_go_and_those_of_its_neighbours_stay(begin: Begin, pid_file: Path):
    left = begin()
    shared = Path(f"/dev/shm/__KMP_REGISTERED_LIB_{left.leader.pid}_{os.getuid()}")
    gone, stay = pid_file.parent / "01234567", pid_file.parent / "89abcdef"
    for folder in (gone, stay):
        (folder / "cache").mkdir(parents=True)
    for file in (shared, pid_file.with_suffix(".sock"), pid_file.with_name("mini-89abcdef.sock")):
        file.touch()
    remember(pid_file, left.leader.pid)
    left.end()
    assert sweep(pid_file) == 0, "all of it was killed before"
    assert sorted(entry.name for entry in pid_file.parent.iterdir()) == ["89abcdef", "mini-89abcdef.sock"]
    assert not shared.exists()


@pytest.mark.parametrize("ticks", [-6000, 6000])
def test_a_stranger_with_the_number_of_an_old_engine_lives_on(begin: Begin, pid_file: Path, ticks: int):
    stranger = begin(str(pid_file.parent / "01234567"))
    pid = stranger.leader.pid
    pid_file.write_text(f"{pid} {start_time(pid) + ticks} {boot_id()}\n")
    assert sweep(pid_file) == 0
    assert living(pid) == {pid, stranger.child}
    assert not pid_file.exists()


def test_an_orphan_of_a_stranger_lives_on(begin: Begin, pid_file: Path):
    stranger = begin("/tmp/01234567")
    remember(pid_file, stranger.leader.pid)
    stranger.orphan()
    assert sweep(pid_file) == 0
    assert alive(stranger.child)


@pytest.mark.parametrize("boot", ["0f7e6d3c-0000-0000-0000-000000000000", ""])
def test_a_pid_file_from_before_the_machine_was_restarted_counts_for_nothing(begin: Begin, pid_file: Path, boot: str):
    stranger = begin(str(pid_file.parent / "01234567"))
    pid = stranger.leader.pid
    pid_file.write_text(f"{pid} {start_time(pid)} {boot}\n")
    assert sweep(pid_file) == 0
    assert living(pid) == {pid, stranger.child}
    assert not pid_file.exists()


@pytest.mark.parametrize("text", ["", "x y z", "12", "\x00", "\xff", "1 1 -", "0 0 0", "-1 5 x"])
def test_a_broken_pid_file_is_ignored(pid_file: Path, text: str):
    pid_file.write_text(text, "latin-1")
    assert sweep(pid_file) == 0
    assert not pid_file.exists()
