"""Requests are recorded in the background; whatever happens to the file, nothing but the records can be lost."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllama.caller import Caller
from vllama.config.schema import Config
from vllama.errors import BadRequest, StoreFailed
from vllama.observe.spent import Spent
from vllama.observe.usage import table
from vllama.observe.usage.steady import SteadyClock
from vllama.observe.usage.usage import Usage

BEGAN = 1_796_000_000.0
ANNA = Caller("10.0.0.7", "k1", "webui", "use", "anna@example.org")
DONE = Spent(
    ANNA, "/api/chat", "tiny:latest", 200, 2.0, began=BEGAN, waiting=0.5, first_token=0.7, prompt_tokens=10,
    cached_tokens=4, generated_tokens=5,
)  # fmt: skip


@dataclass
class Desk:
    file: Path
    usage: Usage
    told: list[str] = field(default_factory=list)

    async def rows(self, *by: str, **more: object):
        return await self.usage.report(by, BEGAN - 1000 * 86400, BEGAN + 86400, **more)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    told: list[str] = []
    usage = Usage(tmp_path / "usage.db", told.append, waiting=5)
    usage.start()
    yield Desk(tmp_path / "usage.db", usage, told)
    usage.close()


def asides(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*.broken-*") if not file.name.endswith(("-wal", "-shm"))]


async def test_what_was_taken_is_reported_at_once_and_by_what_was_asked(desk: Desk):
    desk.usage.take(DONE)
    desk.usage.take(replace(DONE, status=500, caller=replace(ANNA, person="bob")))
    desk.usage.take(replace(DONE, model=""))
    rows = await desk.rows("person", "model")
    assert [(row["person"], row["requests"], row["failed"]) for row in rows] == [
        ("anna@example.org", 1, 0),
        ("bob", 1, 1),
    ]
    (row,) = await desk.rows("key", "month")
    assert row == {
        "key": "webui", "month": "2026-11", "requests": 2, "failed": 1, "prompt_tokens": 20, "cached_tokens": 8,
        "generated_tokens": 10, "engine_seconds": 3.0,
    }  # fmt: skip
    assert "joules" not in row, "what was not measured is absent"
    assert desk.file.stat().st_mode & 0o077 == 0


async def test_energy_that_comes_later_is_added_with_its_price(desk: Desk):
    desk.usage.follow(Config.model_validate({"prices": {"kwh": 0.5}}))
    desk.usage.take(DONE)
    assert "money" not in (await desk.rows())[0]
    desk.usage.energy(DONE, 7.2e6)
    (row,) = await desk.rows()
    assert (row["joules"], row["money"]) == (7.2e6, 1.0)


async def test_others_see_only_their_own(desk: Desk):
    desk.usage.take(DONE)
    desk.usage.take(replace(DONE, caller=Caller("10.0.0.8")))
    desk.usage.take(replace(DONE, caller=Caller("10.0.0.9")))
    assert (await desk.rows(only=Caller("elsewhere", "k1")))[0]["requests"] == 1
    assert (await desk.rows(only=Caller("10.0.0.8")))[0]["requests"] == 1
    assert await desk.rows(only=Caller("10.0.0.7")) == []


async def test_a_person_is_deleted_to_the_last_byte(desk: Desk):
    for _ in range(3):
        desk.usage.take(DONE)
    desk.usage.take(replace(DONE, caller=Caller("10.0.0.8")))
    assert await desk.usage.forget("anna@example.org") == 3
    assert (await desk.rows())[0]["requests"] == 1
    desk.usage.close()
    assert not any(b"anna@" in file.read_bytes() for file in desk.file.parent.iterdir())


async def test_a_file_that_is_broken_is_put_aside_and_a_new_one_begins(tmp_path: Path):
    (tmp_path / "usage.db").write_bytes(b"no database " * 1000)
    told: list[str] = []
    usage = Usage(tmp_path / "usage.db", told.append)
    usage.start()
    usage.take(DONE)
    rows = await usage.report((), BEGAN - 1, BEGAN + 1)
    usage.close()
    assert (rows[0]["requests"], usage.lost) == (1, 0)
    assert any("was broken; it is kept as usage.db.broken-" in text for text in told)
    (aside,) = asides(tmp_path)
    assert aside.read_bytes().startswith(b"no database")


async def test_it_is_told_of_a_file_that_was_put_aside_until_it_is_removed(tmp_path: Path):
    (tmp_path / "usage.db").write_bytes(b"no database " * 1000)
    usage = Usage(tmp_path / "usage.db", lambda _: None)
    usage.start()
    for _ in range(3):
        usage.take(DONE)
        await usage.report((), BEGAN - 1, BEGAN + 1)
        assert "was broken; it is kept as" in usage.problem
    asides(tmp_path)[0].unlink()
    await usage.report((), BEGAN - 1, BEGAN + 1)
    async with asyncio.timeout(10):
        while usage.problem:
            await asyncio.sleep(0.01)
    usage.close()


async def test_a_file_that_breaks_in_use_is_put_aside(desk: Desk):
    for _ in range(5):
        desk.usage.take(DONE)
    await desk.rows()
    desk.file.write_bytes(b"x" * desk.file.stat().st_size)
    for end in ("-wal", "-shm"):
        with (desk.file.with_name(desk.file.name + end)).open("r+b") as file:
            file.write(b"x" * 4096)
    async with asyncio.timeout(20):
        while not asides(desk.file.parent):
            desk.usage.take(DONE)
            try:
                await desk.rows()
            except StoreFailed:
                continue
    desk.usage.take(DONE)
    assert (await desk.rows())[0]["requests"] >= 1


async def test_a_file_that_somebody_removes_is_made_again(desk: Desk):
    desk.usage.take(DONE)
    await desk.rows()
    for file in desk.file.parent.iterdir():
        file.unlink()
    desk.usage.take(DONE)
    assert (await desk.rows())[0]["requests"] == 1


@contextmanager
def locked_by_another_process(file: Path) -> Iterator[None]:
    """It is killed at the end, and never gives the lock back by itself."""
    script = f"import sqlite3, sys, time; c = sqlite3.connect({str(file)!r}, isolation_level=None); "
    script += "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"locked\n"
            yield
        finally:
            process.kill()


async def test_rows_wait_for_a_locked_file_and_what_finds_no_room_is_lost_counted_and_told(desk: Desk, caplog):
    desk.usage.take(DONE)
    await desk.rows()
    with locked_by_another_process(desk.file):
        for _ in range(8):
            desk.usage.take(DONE)
        assert desk.usage.lost == 3
        with pytest.raises(StoreFailed, match="locked"):
            await desk.usage.forget("nobody")
        assert "can't be recorded: database is locked; 5 requests wait, 3 are lost" in desk.told[-1]
        assert (await desk.rows())[0]["requests"] == 1, "what is written can be read"
        assert desk.usage.problem == desk.told[-1]
    assert (await desk.rows())[0]["requests"] == 6
    async with asyncio.timeout(10):
        while desk.told[-1]:
            await asyncio.sleep(0.01)
    assert desk.usage.problem == ""
    assert [record.message for record in caplog.records if "lost" in record.message] == [
        "5 requests wait to be recorded for the usage: further ones are lost",
        "the usage can't be recorded: database is locked; 5 requests wait, 3 are lost",
    ]
    (lost,) = [metric for metric in desk.usage.collect() if metric.name == "vllama_usage_lost"]
    assert [sample.value for sample in lost.samples] == [3]


async def test_who_deletes_a_person_is_told_that_a_reader_keeps_it_in_the_log(desk: Desk):
    desk.usage.take(DONE)
    await desk.rows()
    reader = table.read_only(desk.file)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM requests").fetchone()
    with pytest.raises(StoreFailed, match="another program reads the file"):
        await desk.usage.forget(ANNA.person)
    reader.close()
    assert await desk.usage.forget(ANNA.person) == 0
    assert not any(b"anna@" in file.read_bytes() for file in desk.file.parent.iterdir())


def test_a_file_that_is_opened_again_stays_locked_against_other_programs(tmp_path: Path):
    first = table.opened(tmp_path / "usage.db")
    table.opened(tmp_path / "usage.db").close()
    script = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)"
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "usage.db"], stderr=subprocess.PIPE, check=False)
    assert b"BlockingIOError" in done.stderr, "SQLite's lock of a file that is in use"
    first.close()


async def test_a_thread_that_hangs_loses_rows_and_the_log_tells_it_once(tmp_path: Path, caplog):
    usage = Usage(tmp_path / "usage.db", lambda _: None, waiting=5)
    for _ in range(8):
        usage.take(DONE)
        usage.energy(DONE, 1.0)
    assert usage.lost == 5
    assert [record.message for record in caplog.records] == [
        "5 requests wait to be recorded for the usage: further ones are lost"
    ]


async def test_after_a_week_off_the_old_days_become_sums_and_report_the_same(tmp_path: Path):
    def usage_of(**more: Any) -> Usage:
        usage = Usage(tmp_path / "usage.db", lambda _: None, **more)
        usage.start()
        return usage

    usage = usage_of()
    for hours in range(0, 72, 8):
        usage.take(replace(DONE, began=BEGAN + hours * 3600))
    before = await usage.report(("day",), BEGAN, BEGAN + 9 * 86400)
    usage.close()
    passed = [0.0]
    steady = SteadyClock(lambda: BEGAN + 9 * 86400 + passed[0], lambda: 100.0 + passed[0])
    usage = usage_of(clock=steady, tidied_every=0.0)
    assert await usage.report(("day",), BEGAN, BEGAN + 9 * 86400) == before
    assert summed(tmp_path / "usage.db") == 0, "nothing is summed up before the clock is trusted"
    passed[0] = 3601.0
    async with asyncio.timeout(20):
        while not summed(tmp_path / "usage.db"):
            await usage.report((), BEGAN, BEGAN + 1)
    assert await usage.report(("day",), BEGAN, BEGAN + 9 * 86400) == before
    usage.close()


def summed(file: Path) -> int:
    """Rows of the days."""
    connection = table.read_only(file)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM days").fetchone()[0])
    finally:
        connection.close()


async def test_a_clock_that_jumps_far_ahead_and_back_deletes_nothing(tmp_path: Path):
    wall, boot = [BEGAN], [100.0]
    clock = SteadyClock(lambda: wall[0], lambda: boot[0])
    usage = Usage(tmp_path / "usage.db", lambda _: None, clock=clock, tidied_every=0.0)
    usage.start()
    for jump in (0, 5000 * 86400, 0, -5000 * 86400, 0):
        wall[0] = BEGAN + jump
        for _ in range(3):
            boot[0] += 1000
            wall[0] += 1000
            usage.take(replace(DONE, began=wall[0]))
            await usage.report((), 0, 1e10)
    assert (await usage.report((), 0, 1e10))[0]["requests"] == 15
    usage.close()


async def test_a_report_on_a_hundred_thousand_rows_leaves_the_event_loop_free(tmp_path: Path):
    connection = table.opened(tmp_path / "usage.db")
    row = table.row_of(DONE, None)
    table.write(connection, [(BEGAN + n, *row[1:3], f"person{n % 1000}", *row[4:]) for n in range(100_000)], [])
    connection.close()
    usage = Usage(tmp_path / "usage.db", lambda _: None)
    usage.start()
    asked = asyncio.ensure_future(usage.report(("person", "day"), BEGAN, BEGAN + 200_000))
    turns = 0
    while not asked.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert sum(row["requests"] for row in asked.result()) == 100_000
    assert turns > 10
    usage.close()


async def test_a_report_that_is_too_long_is_refused_and_not_cut(tmp_path: Path, desk: Desk):
    connection = table.opened(desk.file)
    row = table.row_of(DONE, None)
    rows = [(*row[:3], f"person{n}", *row[4:]) for n in range(table.MOST_ROWS + 1)]
    table.write(connection, rows, [])
    connection.close()
    with pytest.raises(BadRequest, match="more than 50,000 rows"):
        await desk.rows("person")
    assert (await desk.rows())[0]["requests"] == table.MOST_ROWS + 1


async def test_a_row_that_no_database_takes_holds_up_no_other(desk: Desk):
    desk.usage.take(replace(DONE, prompt_tokens=1 << 70))
    assert await desk.rows() == []
    assert "too large" in desk.usage.problem
    desk.usage.take(DONE)
    assert (await desk.rows())[0]["requests"] == 1
    assert desk.usage.lost == 1


async def test_nothing_is_recorded_when_it_is_switched_off(desk: Desk):
    desk.usage.follow(Config.model_validate({"usage": {"enabled": False}}))
    desk.usage.take(DONE)
    assert await desk.rows() == []


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 30 * 86400),
            st.sampled_from(["", "anna"]),
            st.sampled_from(["a", "b"]),
            st.none() | st.integers(0, 9),
            st.integers(0, 99),
        )
    ),
    st.integers(0, 31 * 86400),
)
def test_sums_by_day_report_what_their_rows_did(found, before):
    connection = table.opened_in_memory()
    begun = 1_700_000_000.0
    rows = []
    for after, person, model, joules, tokens in found:
        spent = replace(DONE, caller=Caller(person=person), model=model, began=begun + after, generated_tokens=tokens)
        rows.append((*table.row_of(spent, None)[:-2], joules, joules))
    table.write(connection, rows[:3], [])
    table.write(connection, rows[3:], [])
    by = ("person", "model", "day", "month")
    first = table.report(connection, by, 0, begun * 2)
    for cut in (before / 2, before, before):
        table.roll_up(connection, begun + cut, 0)
        again = table.report(connection, by, 0, begun * 2)
        assert again == [
            {key: pytest.approx(value) if key == "engine_seconds" else value for key, value in row.items()}
            for row in first
        ]
    connection.close()


def test_what_is_older_than_is_kept_is_forgotten():
    connection = table.opened_in_memory()
    for age in (0, 10, 30, 50):
        table.write(connection, [table.row_of(replace(DONE, began=BEGAN - age * 86400), None)], [])
    table.roll_up(connection, BEGAN - 7 * 86400, BEGAN - 40 * 86400)
    assert table.report(connection, (), 0, BEGAN + 1)[0]["requests"] == 3
    assert connection.execute("SELECT COUNT(*) FROM requests").fetchone() == (1,)
    connection.close()


def test_a_clock_is_trusted_after_an_hour_without_a_jump():
    wall, boot = [BEGAN], [100.0]
    clock = SteadyClock(lambda: wall[0], lambda: boot[0])

    def passes(seconds: float, jump: float = 0.0) -> float | None:
        wall[0] += seconds + jump
        boot[0] += seconds
        return clock.now()

    assert passes(3500) is None
    assert passes(200) == wall[0]
    assert passes(60, jump=400 * 86400) is None
    assert passes(3000, jump=-400 * 86400) is None
    assert passes(3601) == wall[0]


def test_taking_a_request_costs_the_event_loop_next_to_nothing(tmp_path: Path):
    usage = Usage(tmp_path / "usage.db", lambda _: None, waiting=1_000_000)
    began = time.thread_time()
    for _ in range(20_000):
        usage.take(DONE)
    assert (time.thread_time() - began) / 20_000 < 20e-6


async def test_no_field_of_a_row_holds_what_was_said(desk: Desk):
    desk.usage.take(DONE)
    await desk.rows()
    columns = [row[1] for row in sqlite3.connect(desk.file).execute("PRAGMA table_info(requests)")]
    assert json.dumps(columns) == json.dumps(
        [
            "began", "key_id", "key", "person", "caller", "model", "route", "status", "outcome", "prompt_tokens",
            "cached_tokens", "generated_tokens", "waiting", "ttft", "seconds", "engine_seconds", "joules", "money",
        ]
    )  # fmt: skip
