"""The whole service on real vLLM: one start for all tests that leave it as they found it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client
from tests.clients.wording import REAL, Wording
from tests.embedding_model import embedding_model_dir
from tests.installed_engine import engine_prefix
from tests.live import LiveService

_LOAD_SECONDS = 600  # 25-35 s an engine on an idle machine with two cores; many times that on a busy one

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
            item.add_marker(pytest.mark.timeout(2 * _LOAD_SECONDS))


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
        asyncio.run(_load(service, models))
    except BaseException:
        service.stop()
        raise
    return service


async def _load(service: LiveService, models: tuple[str, ...]) -> None:
    async with Client(service.url) as client, asyncio.timeout(_LOAD_SECONDS):
        for name in models:
            path, body = ("/api/embed", {"input": "a"}) if name == "minilm" else ("/api/generate", {})
            status, answer = await client.post(path, {"model": name, **body})
            assert status == 200, f"{answer}\n{service.log}"


@pytest.fixture(scope="session")
def real() -> Iterator[LiveService]:
    """tinychat and MiniLM, loaded."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))
    service = start(folder, "tinychat", "minilm")
    yield service
    service.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def up(real: LiveService) -> AsyncIterator[Client]:
    """A client of ``real``."""
    async with Client(real.url) as client:
        yield client


@pytest.fixture(scope="session")
def base_url(real: LiveService) -> str:
    """For the tests of the official clients."""
    return real.url


@pytest.fixture(scope="session")
def wording() -> Wording:
    """What makes tinychat do what a test wants."""
    return REAL
