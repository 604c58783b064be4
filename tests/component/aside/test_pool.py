"""Work outside the event loop: it is done, refused or killed, and one client never takes all workers."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tests.component.aside import jobs
from tests.processes import alive, until_gone
from vllama.aside.pool import WorkerPool
from vllama.aside.port import TookTooLong
from vllama.errors import Busy, NotFound, VllamaError

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def pool(**more):
    # the tests' own modules are found in the checkout
    made = WorkerPool({"PYTHONPATH": str(ROOT), "HF_TOKEN": ""}, **more)
    try:
        yield made
    finally:
        await made.close()


async def test_a_job_is_done_in_another_process_and_the_next_one_by_the_same():
    async with pool() as work:
        assert await work.run("a", jobs.double, "xy") == "xyxy"
        first, second = await work.run("a", jobs.who), await work.run("b", jobs.who)
        assert first == second != jobs.who()


async def test_nothing_is_started_before_the_first_job():
    before = psutil.Process().children()
    async with pool():
        assert psutil.Process().children() == before


async def test_an_error_of_ours_comes_back_as_it_is():
    async with pool() as work:
        with pytest.raises(NotFound) as reported:
            await work.run("a", jobs.refuse)
        assert (reported.value.message, reported.value.hint, reported.value.http_status) == (
            "there is none",
            "look elsewhere",
            410,
        )
        with pytest.raises(VllamaError) as reported:
            await work.run("a", jobs.break_down)
        assert "secret" not in str(reported.value)
        assert await work.run("a", jobs.double, 2) == 4


async def test_what_takes_too_long_is_really_ended_and_the_next_job_is_done():
    async with pool(seconds=0.5, workers=1) as work:
        pid = await work.run("a", jobs.who)
        began = time.monotonic()
        with pytest.raises(TookTooLong):
            await work.run("a", jobs.spin, 60)
        assert time.monotonic() - began < 10
        assert not alive(pid)
        assert await work.run("a", jobs.double, 2) == 4


async def test_a_worker_that_was_killed_is_noticed_whether_it_worked_or_waited(tmp_path):
    async with pool(workers=1) as work:
        pid = await work.run("a", jobs.who)
        psutil.Process(pid).kill()
        assert await work.run("a", jobs.double, 2) == 4
        assert await work.run("a", jobs.die_once, str(tmp_path / "mark")) != pid
        with pytest.raises(VllamaError, match="twice"):
            await work.run("a", jobs.die)
        assert await work.run("a", jobs.double, 2) == 4


async def test_one_client_leaves_room_for_another():
    async with pool(workers=2, seconds=30) as work:
        mine = [asyncio.create_task(work.run("greedy", jobs.spin, 0.3)) for _ in range(6)]
        await asyncio.sleep(0)
        assert await work.run("modest", jobs.double, 2) == 4
        assert sum(task.done() for task in mine) <= 2
        await asyncio.gather(*mine)


async def test_more_jobs_than_may_wait_are_refused():
    async with pool(workers=1, seconds=30) as work:
        many = [asyncio.create_task(work.run("a", jobs.spin, 0.01)) for _ in range(40)]
        found = await asyncio.gather(*many, return_exceptions=True)
        assert sum(isinstance(one, Busy) for one in found) == 8
        assert await work.run("a", jobs.double, 2) == 4


async def test_a_client_that_leaves_keeps_its_turn_until_the_job_is_done():
    async with pool(workers=1, seconds=30) as work:
        pid = await work.run("a", jobs.who)
        left = asyncio.create_task(work.run("a", jobs.spin, 0.5))
        waiting = asyncio.create_task(work.run("a", jobs.spin, 30))
        process = psutil.Process(pid)
        before = process.cpu_times().user
        while process.cpu_times().user < before + 0.05:  # it has begun
            await asyncio.sleep(0.01)
        left.cancel()
        waiting.cancel()
        assert await work.run("b", jobs.who) == pid


async def test_the_end_of_the_service_ends_workers_at_once_whatever_they_do():
    async with pool(seconds=60) as work:
        pid = await work.run("a", jobs.who)
        busy = asyncio.create_task(work.run("a", jobs.spin, 60))
        await asyncio.sleep(0)
        await work.close()
        assert isinstance((await asyncio.gather(busy, return_exceptions=True))[0], (Busy, asyncio.CancelledError))
        await until_gone([pid], 2)
        with pytest.raises(Busy):
            await work.run("a", jobs.who)


async def test_a_worker_leaves_when_the_service_is_gone():
    async with pool() as work:
        pid = await work.run("a", jobs.who)
        for worker in tuple(work._all):  # what the kernel does when a process dies
            worker._in.close()
        await until_gone([pid], 10)


async def test_a_job_that_wants_too_much_memory_fails_alone():
    async with pool() as work:
        with pytest.raises(VllamaError):
            await work.run("a", jobs.swallow)
        assert await work.run("a", jobs.double, 2) == 4


async def test_what_a_job_prints_comes_not_between_the_answers():
    async with pool() as work:
        assert await work.run("a", jobs.talk) == "said"


async def test_a_worker_knows_no_secret_and_looks_for_no_module_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    work = WorkerPool()
    try:
        place, token, path = await work.run("a", jobs.surroundings)
    finally:
        await work.close()
    assert (place, token) == ("/", "")
    assert "" not in path
    assert str(tmp_path) not in path


async def test_a_worker_is_small():
    async with pool() as work:
        pid = await work.run("a", jobs.who)
        assert psutil.Process(pid).memory_info().rss < 60 << 20
