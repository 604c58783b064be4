"""The database: a row for each request of the last days, and sums by day before. SQL is only here.

Days are those of UTC. NULL is what was not measured. No text of a prompt or an answer is ever written.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from vllama.caller import Caller
from vllama.observe.spent import Spent

VERSION: Final = 1
DETAILED: Final = 7 * 86400.0
"""Seconds for which each request has a row of its own."""
MOST_ROWS: Final = 50_000
"""Of a report; more would be no help to anybody."""
GROUPS: Final = ("key", "person", "model", "day", "month", "caller")
"""What a report can be made by."""
_BUSY: Final = 1.0
"""Seconds to wait for a lock that another program holds."""
_WHO: Final = "key_id, key, person, caller, model"
_SUMS: Final = (
    "requests", "failed", "prompt_tokens", "cached_tokens", "generated_tokens", "engine_seconds", "joules", "money",
)  # fmt: skip
_MADE: Final = f"""
CREATE TABLE IF NOT EXISTS requests (
  began REAL NOT NULL, key_id TEXT NOT NULL, key TEXT NOT NULL, person TEXT NOT NULL, caller TEXT NOT NULL,
  model TEXT NOT NULL, route TEXT NOT NULL, status INTEGER NOT NULL, outcome TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL,
  waiting REAL, ttft REAL, seconds REAL NOT NULL, engine_seconds REAL NOT NULL, joules REAL, money REAL);
CREATE INDEX IF NOT EXISTS requests_began ON requests (began);
CREATE TABLE IF NOT EXISTS days (
  day TEXT NOT NULL, key_id TEXT NOT NULL, key TEXT NOT NULL, person TEXT NOT NULL, caller TEXT NOT NULL,
  model TEXT NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL, engine_seconds REAL NOT NULL, joules REAL,
  money REAL, PRIMARY KEY (day, {_WHO})) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""
_EACH: Final = f"""SELECT date(began, 'unixepoch') AS day, {_WHO}, 1 AS requests, outcome = 'failed' AS failed,
  prompt_tokens, cached_tokens, generated_tokens, engine_seconds, joules, money FROM requests WHERE began >= ? AND
  began < ?"""  # noqa: S608 - only names of columns are put in
_INSERT: Final = f"INSERT INTO requests VALUES ({', '.join('?' * 18)})"  # noqa: S608
_TOTALS: Final = ", ".join(f"SUM({name}) AS {name}" for name in _SUMS)


class OtherVersion(sqlite3.DatabaseError):
    """The file was made by another version, and can't be used by this one."""


class TooMany(Exception):
    """A report would have more than ``MOST_ROWS``."""


def opened(file: Path) -> sqlite3.Connection:
    """For the one thread that writes; makes the file. Raises sqlite3.Error, OSError."""
    with suppress(FileExistsError):  # closing one that exists would end SQLite's locks on it
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(file, timeout=_BUSY, isolation_level=None)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] not in {0, VERSION}:
            raise OtherVersion("the file is of another version")
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON", "auto_vacuum = NONE"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(_MADE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def opened_in_memory() -> sqlite3.Connection:
    """One of its own, without a file."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(_MADE)
    return connection


def read_only(file: Path) -> sqlite3.Connection:
    """For a report. Raises sqlite3.Error."""
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=_BUSY)


def row_of(spent: Spent, money: float | None) -> tuple[Any, ...]:
    """A row of ``requests``."""
    caller = spent.caller
    return (
        spent.began, caller.id, _text(caller.name), _text(caller.person), caller.address, spent.model, spent.route,
        spent.status, spent.outcome, spent.prompt_tokens, spent.cached_tokens, spent.generated_tokens, spent.waiting,
        spent.first_token, spent.seconds, spent.engine_seconds, None, money,
    )  # fmt: skip


def write(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[Any, ...]],
    measured: Iterable[tuple[float, float | None, float, float]],
) -> None:
    """All or nothing. ``measured``: joules and money of earlier rows, by their times ``began`` and ``seconds``."""
    with _transaction(connection):
        connection.executemany(_INSERT, rows)
        connection.executemany("UPDATE requests SET joules = ?, money = ? WHERE began = ? AND seconds = ?", measured)


def roll_up(connection: sqlite3.Connection, before: float, keep_from: float) -> None:
    """Replace the rows of whole days that ended before ``before`` by sums; forget what is older than ``keep_from``."""
    cut = before - before % 86400.0
    added = ", ".join(
        f"{name} = CASE WHEN excluded.{name} IS NULL THEN {name} ELSE COALESCE({name}, 0) + excluded.{name} END"
        for name in _SUMS
    )
    with _transaction(connection):
        connection.execute(
            f"INSERT INTO days SELECT day, {_WHO}, {_TOTALS} FROM ({_EACH}) WHERE true GROUP BY day, {_WHO} "  # noqa: S608
            f"ON CONFLICT DO UPDATE SET {added}",
            (-1e12, cut),
        )
        connection.execute("DELETE FROM requests WHERE began < ?", (cut,))
        connection.execute("DELETE FROM days WHERE day < ?", (_day(keep_from),))
        connection.execute("DELETE FROM requests WHERE began < ?", (keep_from,))


def forget(connection: sqlite3.Connection, person: str) -> int:
    """Delete all rows of a person, also from the file's free pages and the log; returns how many there were.

    Raises sqlite3.Error, also where another program reads the file and so keeps the log from being emptied.
    """
    with _transaction(connection):
        found = connection.execute("DELETE FROM requests WHERE person = ?", (person,)).rowcount
        found += connection.execute("DELETE FROM days WHERE person = ?", (person,)).rowcount
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise sqlite3.OperationalError("another program reads the file")
    return int(found)


def report(
    connection: sqlite3.Connection, by: Sequence[str], since: float, until: float, *, only: Caller | None = None
) -> list[dict[str, Any]]:
    """Sums by ``by`` (some of ``GROUPS``); what is unknown is left out. Raises TooMany, sqlite3.Error.

    Days that are sums count whole. ``only``: of what this caller sent.
    """
    columns = {name: {"month": "substr(day, 1, 7)"}.get(name, name) for name in by if name in GROUPS}
    picked = "".join(f"{column} AS {name}, " for name, column in columns.items())
    grouped = ", ".join([*(str(at + 1) for at in range(len(columns))), *(["key_id"] if "key" in columns else [])])
    own, values = "", [since, until, _day(since), _day(max(since, until - 1e-6))]
    if only is not None:
        own = "WHERE key_id = ?" if only.id else "WHERE key_id = '' AND caller = ?"
        values.append(only.id or only.address)
    text = (
        f"SELECT {picked}{_TOTALS} FROM ({_EACH} UNION ALL SELECT day, {_WHO}, {', '.join(_SUMS)} FROM days "  # noqa: S608
        f"WHERE day >= ? AND day <= ?) {own} {f'GROUP BY {grouped} ORDER BY {grouped}' if grouped else ''} "
        f"LIMIT {MOST_ROWS + 1}"
    )
    found = connection.execute(text, values)
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found]
    if len(rows) > MOST_ROWS:
        raise TooMany
    return [{key: value for key, value in row.items() if value not in {None, ""}} for row in rows if row["requests"]]


class _transaction:  # noqa: N801 - a word of the block that it opens
    """BEGIN IMMEDIATE, and COMMIT or ROLLBACK."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _day(at: float) -> str:
    return datetime.fromtimestamp(min(max(at, 0.0), 253402300799.0), UTC).strftime("%Y-%m-%d")


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
