"""Fixtures of the component ring: fake engines as processes, and the supervisor's port on top of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import vllama.models
from tests.fakes.engines import FakeEngines
from tests.fakes.running import RunningEngine
from vllama.engine.client import EngineClient

CHAT_FLAGS = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--reasoning-parser", "qwen3")


@pytest.fixture
def tinychat_dir() -> Path:
    """The directory of the project's own chat model."""
    return Path(vllama.models.__file__).parent / "builtin" / "tinychat"


@pytest.fixture
async def fake_engine(tmp_path: Path, tinychat_dir: Path) -> AsyncIterator[RunningEngine]:
    """One fake chat engine named tinychat, up, with tools and thinking."""
    async with RunningEngine(tmp_path, tinychat_dir, *CHAT_FLAGS) as engine:
        yield engine


@pytest.fixture
async def fake_engines(fake_engine: RunningEngine) -> AsyncIterator[FakeEngines]:
    """The supervisor's port, leasing ``fake_engine``."""
    client = EngineClient(fake_engine.socket)
    yield FakeEngines({fake_engine.name: client})
    await client.close()
