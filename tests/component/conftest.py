"""Fixtures of the component ring: fake engines as processes, the supervisor's port on top of one, the whole service."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.client import Client
from tests.fakes import interpreter
from tests.fakes.control import EngineControl
from tests.fakes.engines import FakeEngines
from tests.fakes.model_dir import TINYCHAT, scripted
from tests.fakes.running import RunningEngine
from tests.live import LiveService
from vllama.engine.client import EngineClient

CHAT_FLAGS = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--reasoning-parser", "qwen3")


@pytest.fixture
def tinychat_dir() -> Path:
    """The directory of the project's own chat model."""
    return TINYCHAT


@pytest.fixture
async def fake_engine(tmp_path: Path) -> AsyncIterator[RunningEngine]:
    """One fake chat engine named tinychat, up, with tools and thinking."""
    async with RunningEngine(tmp_path, TINYCHAT, *CHAT_FLAGS) as engine:
        yield engine


@pytest.fixture
async def fake_engines(fake_engine: RunningEngine) -> AsyncIterator[FakeEngines]:
    """The supervisor's port, leasing ``fake_engine``."""
    client = EngineClient(fake_engine.socket)
    yield FakeEngines({fake_engine.name: client})
    await client.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a short name: unix sockets end at 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="vl-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def service(folder: Path) -> LiveService:
    """The whole service on fake engines, not started: models ``tinychat`` and ``other``, fast to restart."""
    return _service(folder)


@pytest.fixture(scope="module")
def shared() -> Iterator[LiveService]:
    """A service like ``service``, up for all tests of a module; its breaker never opens."""
    made = Path(tempfile.mkdtemp(prefix="vl-"))
    live = _service(made, breaker_crashes=1000)
    live.start()
    yield live
    live.stop()
    shutil.rmtree(made)


@pytest.fixture
async def up(shared: LiveService) -> AsyncIterator[Client]:
    """A client of ``shared``, whose engines have forgotten what other tests told them."""
    for socket in shared.runtime.glob("*.sock"):
        with suppress(aiohttp.ClientError):
            await EngineControl(socket).reset()
    async with Client(shared.url) as client:
        yield client


def _service(folder: Path, **engine: Any) -> LiveService:
    models = {name: {"source": str(scripted(folder, name))} for name in ("tinychat", "other")}
    engine |= {
        "python": str(interpreter.write(folder)),
        "restart_backoff": "100ms",
        "hang_timeout": "1s",
        "probe_interval": "250ms",
        "drain_timeout": "5s",
    }
    return LiveService(folder, {"engine": engine, "models": models})


async def engine_of(service: LiveService, model: str = "tinychat") -> EngineControl:
    """The control of a model's fake engine (loads it)."""
    async with Client(service.url) as client:
        status, answer = await client.post("/api/generate", {"model": model})
    assert status == 200, answer
    (socket,) = service.runtime.glob(f"{model}-*.sock")
    return EngineControl(socket)
