"""Real vLLM with an empty cache: the first load is eager, it is compiled meanwhile, the next load has the code."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.client import Client
from tests.installed_engine import engine_prefix
from tests.live import LiveService

COMPILED_WITHIN = 900
"""Seconds; it takes a minute on an idle machine, and waits for other tests' engines on a busy one."""
LOGPROBS_WITHIN = 10.0
"""Seconds for the first answer with log probabilities. A C++ compiler would take half a minute and more for it."""
MODEL = {"source": "builtin:tinychat", "settings": {"kv_cache_memory": "256MiB", "eager_below": 1}}


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short name: unix sockets end at 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="vl-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def service(short: Path) -> LiveService:
    config = {
        "paths": {"state": str(short / "state"), "cache": str(short / "cache"), "runtime": str(short / "run")},
        "engine": {"prefix": str(engine_prefix()), "spare": False},  # its command line tells whether it is eager
        "keep_alive": "forever",
        "models": {"tinychat": MODEL},
        "log": {"level": "debug"},
    }
    return LiveService(short, config)


def command(up: LiveService) -> list[str]:
    """Of the engine that answers."""
    found = [words for process in up.family() if "--uds" in (words := _words(process))]
    (engine,) = [words for words in found if not any(word.endswith(".c.sock") for word in words)]
    return engine


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def load(up: Client) -> None:
    status, answer = await up.post("/api/generate", {"model": "tinychat"})
    assert status == 200, answer


async def with_logprobs(up: Client) -> float:
    """Seconds of one short answer."""
    began = time.monotonic()
    messages = [{"role": "user", "content": "count to 3"}]
    body = {"model": "tinychat", "messages": messages, "max_tokens": 4, "logprobs": True, "top_logprobs": 3}
    status, answer = await up.post("/v1/chat/completions", body)
    assert status == 200, answer
    assert len(answer["choices"][0]["logprobs"]["content"]) >= 1
    return time.monotonic() - began


@pytest.mark.long
async def test_the_first_load_is_eager_and_the_next_one_has_the_compiled_code(service: LiveService):
    async with service as up:
        await load(up)
        assert "--enforce-eager" in command(up)
        assert await with_logprobs(up) < LOGPROBS_WITHIN
        async with asyncio.timeout(COMPILED_WITHIN):
            while "tinychat:latest: compiled in" not in up.log:
                assert "it was not compiled" not in up.log, up.log
                await asyncio.sleep(0.5)
        status, eager = await up.chat("Count to 5.", stream=False)
        assert status == 200, "the eager engine still answers"
        await up.post("/api/generate", {"model": "tinychat", "keep_alive": 0})
        await up.until_metric("vllama_engine_state", 0, model="tinychat:latest", state="ready", within=60)
        compilations = up.log.count("saved AOT compiled function")
        await load(up)
        assert "--enforce-eager" not in command(up)
        assert "Directly load AOT compilation" in up.log
        assert up.log.count("saved AOT compiled function") == compilations, "it was compiled again"
        assert await with_logprobs(up) < LOGPROBS_WITHIN
        status, compiled = await up.chat("Count to 5.", stream=False)
        assert (status, compiled["message"]["content"]) == (200, eager["message"]["content"])
