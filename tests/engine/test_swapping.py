"""Three models of real vLLM in memory for two: they load on demand, make room for each other, and go when told.

The figures that it prints (``pytest -s``) stand in docs/memory.md.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.client import Client
from tests.engine.conftest import ENDLESS, MODELS, start
from tests.fakes.model_dir import TINYCHAT
from tests.live import LiveService

CHATS = ("tinychat", "twin")
CLIENTS = 20
TURNS = 2
LONG = {"num_predict": 600}


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    """Each engine takes some 1.4 GiB by its plan; the embedder is pinned, so the two chat models share one place."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))
    shutil.copytree(TINYCHAT, folder / "twin")
    models = {
        "tinychat": MODELS["tinychat"],
        "twin": {**MODELS["tinychat"], "source": str(folder / "twin")},
        "minilm": {**MODELS["minilm"], "pin": True},
    }
    made = start(folder, "minilm", "tinychat", configured=models, max_ram="3.5GiB", min_residence="5s")
    yield made
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def up(service: LiveService) -> AsyncIterator[Client]:
    async with Client(service.url) as client:
        yield client


async def loaded(up: Client) -> dict[str, float]:
    """Seconds that each loaded model will stay."""
    _, answer = await up.get("/api/ps")
    now = time.time()
    return {
        one["name"].removesuffix(":latest"): datetime.fromisoformat(one["expires_at"]).timestamp() - now
        for one in answer["models"]
    }


async def until_gone(up: Client, model: str) -> None:
    await up.until_metric("vllama_engine_state", 0, within=60, model=f"{model}:latest")


async def alternating(up: Client, number: int) -> list[float]:
    """Seconds that each of one client's questions took; half of the clients begin with either model."""
    took = []
    for turn in range(TURNS):
        began = time.monotonic()
        status, answer = await up.chat("What is the capital of France?", model=CHATS[(number + turn) % 2], stream=False)
        took.append(time.monotonic() - began)
        assert status == 200, answer
        assert "Paris" in answer["message"]["content"]
    return took


async def test_twenty_clients_alternate_between_two_models_with_room_for_one(service: LiveService, up: Client):
    assert set(await loaded(up)) == {"minilm", "tinychat"}
    before, spent = await up.metric("vllama_load_seconds_count"), await up.metric("vllama_load_seconds_sum")
    answers = await asyncio.gather(*(alternating(up, number) for number in range(CLIENTS)))
    swaps = await up.metric("vllama_load_seconds_count") - before
    took = sorted(seconds for one in answers for seconds in one)
    centiles = statistics.quantiles(took, n=100)
    print(
        f"\n{len(took)} requests of {CLIENTS} clients: {swaps:.0f} swaps, 0 errors; "
        f"p50 {centiles[49]:.1f} s, p99 {centiles[98]:.1f} s; "
        f"a load took {(await up.metric('vllama_load_seconds_sum') - spent) / max(swaps, 1):.1f} s"
    )
    assert swaps <= TURNS, f"{swaps} loads: the models thrash\n{service.log}"
    assert "minilm" in await loaded(up), "a pinned model stays"
    assert await up.metric("vllama_engine_crashes_total") == 0


async def test_a_model_that_is_unloaded_finishes_its_answer_first(up: Client):
    (model,) = set(await loaded(up)) - {"minilm"}
    answer = asyncio.create_task(up.chat("Describe Italy as JSON.", model=model, format=ENDLESS, options=LONG))
    await up.until_metric("vllama_engine_leases", 1, model=f"{model}:latest")
    assert (await up.post("/api/generate", {"model": model, "keep_alive": 0}))[0] == 200
    status, lines = await answer
    assert status == 200
    assert (lines[-1]["done_reason"], lines[-1]["eval_count"]) == ("length", LONG["num_predict"])
    await until_gone(up, model)


async def test_the_last_keep_alive_counts(up: Client):
    for keep_alive, stays in ((-1, float("inf")), ("1h", 3600), ("2s", 2)):
        assert (await up.post("/api/embed", {"model": "minilm", "input": "a", "keep_alive": keep_alive}))[0] == 200
        found = (await loaded(up))["minilm"]
        assert found > 1e8 if stays == float("inf") else stays - 2 < found <= stays
    await until_gone(up, "minilm")
    assert await loaded(up) == {}
