"""A real vLLM behind us must answer what a real Ollama answered, recorded case by case."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.known import unexpected
from tests.contract.models import three_models
from tests.contract.replay import GOLDEN, choose, read_golden, replay
from tests.contract.report import lines, table
from tests.installed_engine import engine_prefix
from tests.live import LiveService
from tests.real import RealService, load


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="vl-"))
    yield made
    shutil.rmtree(made)


def config(folder: Path, **server: Any) -> dict[str, Any]:
    return {
        "engine": {"prefix": str(engine_prefix())},
        "server": {"port": 0, **server},
        "models": three_models(folder),
    }


def assert_as_recorded(results: list[dict[str, Any]]) -> None:
    """No answer may break a client (A) or differ visibly (B)."""
    print(table(results))
    assert not unexpected(results), "\n".join(lines(results, "AB"))


async def hold(service: LiveService, file: str) -> None:
    """Replay a file."""
    header, cases = read_golden(GOLDEN / file)
    async with service:
        assert_as_recorded(await replay(service.url, header, cases, seconds=600))


@pytest.mark.engine
@pytest.mark.timeout(1800)
async def test_the_recorded_cases(real: RealService):
    """All models are loaded before the first case: how long a load takes is no difference."""
    await real.serve(real.recorded, alone=True)
    await load(real.url, *real.recorded)
    header, cases = read_golden(GOLDEN / "default.jsonl")
    assert_as_recorded(await replay(real.url, header, choose(cases, load=False), seconds=600, at_once=8))


async def test_origins_may_all_be_allowed(folder):
    await hold(LiveService(folder, config(folder, origins=["*"])), "origins-star.jsonl")


async def test_origins_may_be_listed(folder):
    origins = ["http://ui.example", "http://192.168.1.*", "chrome-extension://*"]
    await hold(LiveService(folder, config(folder, origins=origins)), "origins-list.jsonl")


async def test_any_host_name_is_served_when_we_listen_everywhere(folder):
    await hold(LiveService(folder, config(folder, host="0.0.0.0")), "anyhost.jsonl")


async def test_a_server_without_models_lists_none(folder):
    await hold(LiveService(folder, {**config(folder), "models": {}}), "empty.jsonl")


async def test_there_is_no_cloud(folder):
    await hold(LiveService(folder, config(folder)), "nocloud.jsonl")
