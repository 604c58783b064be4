"""The real command as a process of its own, against a scripted service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.component.cli.terminal import Terminal
from tests.fakes.service import Service, serving

ROOT = Path(__file__).parents[3]
Vllama = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        yield running


@pytest.fixture
def environment(service: Service, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "VLLAMA_HOST": service.host,
    }


@pytest.fixture
def vllama(environment: dict[str, str]) -> Vllama:
    """Run the command to its end, with its output in pipes."""

    def run(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vllama", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            env={**environment, **more},
            check=False,
        )

    return run


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Run the command in a pseudo terminal."""
    opened: list[Terminal] = []

    def run(*arguments: str, **more: str) -> Terminal:
        opened.append(Terminal(["-m", "vllama", *arguments], {**environment, **more}))
        return opened[-1]

    yield run
    for one in opened:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
