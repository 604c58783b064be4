"""Errands with real children: what they say, how they fail, and that none is left."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import alive, until_gone
from vllama.errand.lines import Advance
from vllama.errand.parent import send
from vllama.errors import ErrandFailed

CHILD = "tests.unit.errand.child"
ROOT = str(Path.cwd())


class Errand:
    """One errand, with what was heard of it."""

    def __init__(self) -> None:
        self.heard: list[Advance] = []
        self.moved = asyncio.Event()

    def hear(self, advance: Advance) -> None:
        self.heard.append(advance)
        self.moved.set()

    async def until(self, stage: str) -> Advance:
        async with asyncio.timeout(30):
            while not (found := [one for one in self.heard if one.stage == stage]):
                self.moved.clear()
                await self.moved.wait()
        return found[0]

    async def run(self, order: Any, **how: Any) -> Any:
        environ = {"PYTHONPATH": ROOT, "PATH": os.environ["PATH"]}
        if rude := how.pop("rude", ""):
            environ["RUDE"] = rude
        async with asyncio.timeout(120):
            return await send(CHILD, order, "counting", self.hear, environ=environ, **how)


@pytest.fixture
def errand() -> Errand:
    return Errand()


async def test_progress_comes_in_order_and_then_the_result(errand):
    assert await errand.run({"count": 3}) == {"counted": 3}
    assert errand.heard[1:] == [Advance("counting", number, 3) for number in (1, 2, 3)]
    assert not alive(errand.heard[0].done)


async def test_lines_of_several_threads_do_not_mix(errand):
    await errand.run({"threads": 8})
    assert sorted(errand.heard[1:], key=lambda one: one.done) == [Advance(str(n) * 10_000, n, n) for n in range(8)]


async def test_an_error_of_ours_arrives_as_it_was(errand):
    with pytest.raises(ErrandFailed) as caught:
        await errand.run({"refuse": "acme/mini is gated"})
    error = caught.value
    assert (error.message, error.hint, error.where) == ("acme/mini is gated", "try again", "/var/lib/x")
    assert error.error_code == "pull_gated"


async def test_a_crash_is_reported_with_its_last_line_and_logged_whole(errand, caplog):
    with pytest.raises(ErrandFailed, match=r"^counting failed: ValueError: out of figures$") as caught:
        await errand.run({"crash": "out of figures"})
    assert caught.value.error_code == "broke_off"
    assert "Traceback" in caplog.text


async def test_a_child_that_just_ends_is_reported_with_its_status(errand):
    with pytest.raises(ErrandFailed, match="failed: exit status 3"):
        await errand.run("exit")


async def test_a_child_that_hangs_is_gone_when_its_errand_is_cancelled(errand):
    running = asyncio.create_task(errand.run("hang"))
    pid = (await errand.until("pid")).done
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not alive(pid)


async def test_a_child_that_ignores_the_signal_is_killed_after_the_grace(errand):
    running = asyncio.create_task(errand.run("ignore", grace=0.2))
    await errand.until("deaf")
    pid, begun = errand.heard[0].done, time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not alive(pid)
    assert time.monotonic() - begun > 0.2


async def test_a_second_cancellation_kills_at_once(errand):
    running = asyncio.create_task(errand.run("ignore", grace=600))
    await errand.until("deaf")
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not alive(errand.heard[0].done)


async def test_a_process_that_the_child_left_holds_nothing_up(errand):
    with pytest.raises(ErrandFailed, match="exit status 4"):
        await errand.run("fork", grace=0.2)
    left = errand.heard[1].done
    os.kill(left, 9)


async def test_a_secret_reaches_the_child_though_not_in_what_others_can_read(errand):
    assert await errand.run("secret", secrets={"HF_TOKEN": "s3cret"}) == "s3cret"


async def test_other_output_is_passed_over(errand):
    assert await errand.run(None, rude="garbage") == "yet it ends well"


@pytest.mark.parametrize(
    ("rude", "fault"),
    [
        ("huge", "it sent a line of more than 50000 bytes"),
        ("half", r'{"result":'),
        ("close", "it goes on without a word"),
        ("password", r"can't reach https://\*\*\*@hub/x"),
    ],
)
async def test_a_child_that_keeps_to_no_rules_is_ended_with_the_reason(errand, caplog, rude, fault):
    with pytest.raises(ErrandFailed, match=f"^counting failed: {fault}$"):
        await errand.run(None, rude=rude, longest=50_000, grace=0.2)
    assert "s3cret" not in caplog.text


async def test_what_the_listener_raises_ends_the_errand():
    def hear(_: Advance) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await send(CHILD, "hang", "counting", hear, environ={"PYTHONPATH": ROOT, "PATH": os.environ["PATH"]})


PARENT = f"""
import asyncio, os
from vllama.errand.parent import send
environ = {{"PYTHONPATH": {ROOT!r}, "PATH": os.environ["PATH"]}}
asyncio.run(send({CHILD!r}, "hang", "counting", lambda one: print(one.done, flush=True), environ=environ))
"""


async def test_a_child_ends_with_its_parent():
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    await parent.wait()
    await until_gone([pid], 10)
