"""A real Prometheus scrapes a service with a real vLLM: every shipped query finds something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.client import Client
from tests.prometheus import (
    Prometheus,
    dashboard_queries,
    machine_with_gpu,
    shipped_levels,
    shipped_rules,
    under_load,
    until_all_found,
)
from tests.real import RealService, load


@pytest.fixture
def other_machine() -> Iterator[str]:
    """Where a machine with a GPU is scraped: this one may have none."""
    with machine_with_gpu() as target:
        yield target


@pytest.fixture
async def promising(real: RealService) -> AsyncIterator[Client]:
    """A client of ``real`` with tinychat loaded, while the service has an objective for it."""
    await load(real.url, "tinychat")
    real.config["slos"] = {"chat": {"models": ["tinychat"], "ttft": "10s at 95 %", "success": "99 %"}}
    real.reconfigure()
    await until_objectives(real.url, 2)
    async with Client(real.url) as client:
        yield client
    del real.config["slos"]
    real.reconfigure()
    await until_objectives(real.url, 0)


async def until_objectives(url: str, number: int) -> None:
    """With connections of its own: a reload closes those that are idle."""
    async with Client(url) as client, asyncio.timeout(30):
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
    targets = [promising.url.removeprefix("http://"), other_machine]
    async with (
        Prometheus(tmp_path, targets, shipped_rules()) as prometheus,
        under_load(*(chat_on(promising) for _ in range(4))),
    ):
        await until_all_found(prometheus, dashboard_queries(), within=180)
        await until_all_found(prometheus, shipped_levels())
        (cached,) = await prometheus.until("sum(vllm:prefix_cache_hits_total) > 0")
        assert float(cached["value"][1]) > 0
