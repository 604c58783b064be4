"""The command as a process of its own, against servers of both APIs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.fakes.benched import Benched, serving_ollama, serving_openai
from tests.live import ROOT

Bench = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
async def ollama() -> AsyncIterator[Benched]:
    async with serving_ollama() as server:
        yield server


@pytest.fixture
async def openai() -> AsyncIterator[Benched]:
    async with serving_openai() as server:
        yield server


@pytest.fixture
def bench() -> Bench:
    """Run ``vllama bench`` with these arguments, with its output in pipes."""

    async def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("VLLAMA_", "OLLAMA_"))}
        argv = [sys.executable, "-m", "vllama", "bench", *map(str, arguments)]
        return await asyncio.to_thread(
            subprocess.run, argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100, check=False
        )

    return run
