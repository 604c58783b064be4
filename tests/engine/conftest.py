"""Real vLLM: the service that all tests share if they leave it as they found it, and others for those that don't."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client
from tests.clients.wording import REAL, Wording
from tests.embedding_model import embedding_model_dir
from tests.installed_engine import engine_prefix
from tests.live import LiveService
from tests.real import LOAD_SECONDS, RealService, load
from tests.smollm2 import smollm2_dir
from tests.templates import STRICT, tinychat_with

MODELS: Mapping[str, Mapping[str, Any]] = {
    "tinychat": {"source": "builtin:tinychat", "settings": {"kv_cache_memory": "256MiB"}},
    "minilm": {"source": str(embedding_model_dir())},
}
ENDLESS = {"type": "array", "items": {"type": "integer"}, "minItems": 1000}
"""A form in which an answer fills tinychat's context."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the engine; whichever test is the first waits for its start."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.timeout(2 * LOAD_SECONDS))


def start(
    folder: Path, *models: str, configured: Mapping[str, Mapping[str, Any]] = MODELS, **engine: Any
) -> LiveService:
    """The service with real engines, up, and these models loaded to stay; compile caches are shared by all starts."""
    cache = engine_prefix().parent / "cache"
    config = {
        "keep_alive": "forever",
        "paths": {"state": str(folder / "state"), "cache": str(cache), "runtime": str(folder / "run")},
        "engine": {"prefix": str(engine_prefix()), **engine},
        "models": dict(configured),
    }
    service = LiveService(folder, config)
    service.start()
    try:
        asyncio.run(load(service.url, *models))
    except BaseException:
        service.stop()
        raise
    return service


@pytest.fixture
async def up(real: RealService) -> AsyncIterator[Client]:
    """A client of ``real``, with tinychat and MiniLM loaded."""
    await load(real.url, "tinychat", "minilm")
    async with Client(real.url) as client:
        yield client


@pytest.fixture
async def strict_url(real: RealService) -> str:
    """Where ``strict`` is served, loaded: tinychat with the strictest template."""
    if "strict" not in real.config["models"]:
        shutil.rmtree(real.folder / "strict", ignore_errors=True)
        await real.serve({"strict": {"source": str(tinychat_with(STRICT, real.folder, "strict"))}})
    await load(real.url, "strict")
    return real.url


@pytest.fixture
async def smol(real: RealService) -> AsyncIterator[Client]:
    """A client of ``real``, with ``smollm2`` loaded: a real model of 135 million parameters, not compiled."""
    await real.serve({"smollm2": {"source": str(smollm2_dir()), "settings": {"enforce_eager": True}}})
    await load(real.url, "smollm2")
    async with Client(real.url) as client:
        yield client


@pytest.fixture(scope="session")
def base_url(real: RealService) -> str:
    """For the tests of the official clients."""
    asyncio.run(load(real.url, "tinychat", "minilm"))
    return real.url


@pytest.fixture(scope="session")
def wording() -> Wording:
    """What makes tinychat do what a test wants."""
    return REAL
