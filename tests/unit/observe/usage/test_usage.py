"""Requests are recorded in the background; whatever happens to the file, nothing but the records can be lost."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllama.caller import Caller
from vllama.config.schema import Config
from vllama.errors import StoreFailed
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


async def test_rows_wait_for_a_locked_file_and_what_finds_no_room_is_lost_counted_and_told(desk: Desk):
    desk.usage.take(DONE)
    await desk.rows()
    other = sqlite3.connect(desk.file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for _ in range(8):
        desk.usage.take(DONE)
    assert desk.usage.lost == 3
    with pytest.raises(StoreFailed, match="locked"):
        await desk.usage.forget("nobody")
    assert "can't be recorded: database is locked" in desk.told[-1]
    other.execute("ROLLBACK")
    other.close()
    assert (await desk.rows())[0]["requests"] == 6
    async with asyncio.timeout(10):
        while desk.told[-1]:
            await asyncio.sleep(0.01)
    assert "vllama_usage_lost" in {metric.name for metric in desk.usage.collect()}


async def test_a_row_that_no_database_takes_holds_up_no_other(desk: Desk):
    desk.usage.take(replace(DONE, prompt_tokens=1 << 70))
    with pytest.raises(StoreFailed):
        await desk.rows()
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
