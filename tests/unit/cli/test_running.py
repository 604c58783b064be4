"""Which processes are believed to be the service: a command line is no proof."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from vllama.cli.running import running_service

STRANGER = 65534
PORT = 47311
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of others")
Start = Callable[[int | None], int]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a process that looks like ``vllama serve``; its pid."""
    config = tmp_path / "vllama.yaml"
    config.write_text(f"server: {{port: {PORT}}}\n")
    running: list[subprocess.Popen[bytes]] = []

    def one(user: int | None) -> int:
        argv = ["python3", "-c", "read line", "/x/vllama", "serve", "--config", str(config)]
        running.append(subprocess.Popen(argv, executable="/bin/sh", user=user, stdin=subprocess.PIPE))
        return running[-1].pid

    yield one
    for process in running:
        process.communicate()


def nobody() -> int:
    return 0


def test_our_own_process_is_believed(start: Start) -> None:
    start(None)
    found = running_service(PORT, main_pid=nobody)
    assert found is not None
    assert found.user == psutil.Process().username()


@as_root
def test_a_strangers_process_is_not_believed(start: Start) -> None:
    start(STRANGER)
    assert running_service(PORT, main_pid=nobody) is None


@as_root
def test_the_process_that_systemd_names_is_believed_and_comes_first(start: Start) -> None:
    start(None)
    main = start(STRANGER)
    found = running_service(PORT, main_pid=lambda: main)
    assert found is not None
    assert found.user == psutil.Process(main).username() != "root"
