"""One service with real vLLM for all tests that leave it as they found it, whichever ring they belong to.

Starting an engine takes as long as a hundred tests. The service begins with the three models that the recorded Ollama
had. A test that needs another one adds it (``serve``): that is a reload and not another start.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.client import Client
from tests.contract.models import three_models
from tests.installed_engine import engine_prefix
from tests.live import LiveService

LOAD_SECONDS: Final = 600
"""A few seconds an engine on an idle machine, and many times that on a busy one."""

Models = Mapping[str, Mapping[str, Any]]


async def load(url: str, *models: str) -> None:
    """Load these models of a service to stay, unless they are loaded."""
    async with Client(url) as client, asyncio.timeout(LOAD_SECONDS):
        for name in models:
            path, body = ("/api/embed", {"input": "a"}) if name == "minilm" else ("/api/generate", {})
            status, answer = await client.post(path, {"model": name, "keep_alive": -1, **body})
            assert status == 200, answer


class RealService(LiveService):
    """The service that is shared. What it serves besides ``recorded`` is whatever a test before asked for."""

    def __init__(self, folder: Path) -> None:
        self.recorded: Models = three_models(folder)
        """The models that the recorded Ollama had."""
        # compiled code is kept from run to run, as for every other service with this engine
        paths = {"state": folder / "state", "cache": engine_prefix().parent / "cache", "runtime": folder / "run"}
        config = {
            "paths": {name: str(path) for name, path in paths.items()},
            "engine": {"prefix": str(engine_prefix())},
            "models": dict(self.recorded),
        }
        super().__init__(folder, config)

    async def serve(self, models: Models, *, alone: bool = False) -> None:
        """Have these models configured too; ``alone``: only these, and the engines of others are unloaded."""
        known: Models = self.config["models"]
        wanted = dict(models) if alone else {**known, **models}
        if wanted == known:
            return
        self.config["models"] = wanted
        self.reconfigure()
        async with Client(self.url) as client, asyncio.timeout(LOAD_SECONDS):
            while not await self._serves(client, gone=known.keys() - wanted.keys()):
                await asyncio.sleep(0.02)

    async def _serves(self, client: Client, gone: set[str]) -> bool:
        _, answer = await client.get("/api/tags")
        names = {model["name"].removesuffix(":latest") for model in answer["models"]}
        return self.config["models"].keys() <= names and not names & gone


@pytest.fixture(scope="session")
def real() -> Iterator[RealService]:
    """The shared service, up; nothing is loaded by its start."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))  # unix sockets end at 107 bytes
    service = RealService(folder)
    service.start()
    yield service
    service.stop()
    shutil.rmtree(folder)
