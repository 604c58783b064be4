"""A real Prometheus scrapes a service with a real vLLM: every shipped query finds something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.client import Client
from tests.prometheus import (
    Prometheus,
    dashboard_queries,
    machine_with_gpu,
    shipped_levels,
    shipped_rules,
    until_all_found,
)
from tests.real import RealService


@pytest.fixture
def other_machine() -> Iterator[str]:
    """Where a machine with a GPU is scraped: this one may have none."""
    with machine_with_gpu() as target:
        yield target


@pytest.fixture
async def promising(real: RealService, up: Client) -> AsyncIterator[Client]:
    """A client of ``real`` while it has an objective for tinychat."""
    real.config["slos"] = {"chat": {"models": ["tinychat"], "ttft": "10s at 95 %", "success": "99 %"}}
    real.reconfigure()
    await until_objectives(up, 2)
    yield up
    del real.config["slos"]
    real.reconfigure()
    await until_objectives(up, 0)


async def until_objectives(client: Client, number: int) -> None:
    async with asyncio.timeout(30):
        while len((await client.get("/vllama/slos"))[1]["slos"]) != number:
            await asyncio.sleep(0.02)


async def chat_on(client: Client) -> None:
    """One answer after the other, each with the beginning of the one before."""
    while True:
        status, _ = await client.chat("Count to ten. " * 20, options={"num_predict": 20})
        assert status == 200


async def test_every_query_finds_something_of_a_real_engine_under_load(
    promising: Client, other_machine: str, tmp_path: Path
):
    load = [asyncio.create_task(chat_on(promising)) for _ in range(4)]
    try:
        targets = [promising.url.removeprefix("http://"), other_machine]
        async with Prometheus(tmp_path, targets, shipped_rules()) as prometheus:
            await until_all_found(prometheus, dashboard_queries(), within=180)
            await until_all_found(prometheus, shipped_levels())
            (cached,) = await prometheus.until("sum(vllm:prefix_cache_hits_total) > 0")
            assert float(cached["value"][1]) > 0
    finally:
        for task in load:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
