"""Records what requests used: handed over on the event loop, written by one thread in batches.

A disk that is full or locked or does not answer holds up this thread and nothing else: what waits is bounded, and what
finds no room is lost, counted and told.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from vllama.caller import Caller
from vllama.config.schema import Config
from vllama.disk import Reads
from vllama.errors import BadRequest, Busy, StoreFailed
from vllama.observe.spent import Spent
from vllama.observe.usage import table
from vllama.observe.usage.file import File
from vllama.observe.usage.prices import PriceList
from vllama.observe.usage.steady import SteadyClock
from vllama.observe.usage.tally import Tally

FILE: Final = "usage.db"
"""In the state directory."""
WAITING: Final = 10_000
"""Requests that wait to be written; more are lost."""
_BATCH: Final = 0.5
"""Seconds for which a batch is collected."""
_RETRY: Final = 1.0
_TIDIED: Final = 3600.0
"""Seconds between two times at which old rows become sums."""
_PATIENCE: Final = 10.0
"""Seconds that a report may take."""
_LOG: Final = logging.getLogger("vllama.usage")
_FAILURES: Final = (sqlite3.Error, OSError, ValueError, OverflowError)
_IMPOSSIBLE: Final = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError)
T = TypeVar("T")
_Order: TypeAlias = tuple[Callable[[sqlite3.Connection], Any], Future[Any]]


class Usage(Collector):
    """One for the whole service. ``take`` and ``energy`` are called on the event loop."""

    def __init__(
        self,
        file: Path,
        tell: Callable[[str], object],
        *,
        clock: SteadyClock | None = None,
        waiting: int = WAITING,
        tidied_every: float = _TIDIED,
    ) -> None:
        """``tell``: what an administrator must know, empty when it is over; called in the writing thread.

        ``tidied_every``: seconds between two times at which old rows become sums.
        """
        self._overflowed = self._unwritable = 0
        """Counted by the event loop, and by the thread that writes."""
        self._file = File(file)
        self._tell = tell
        self._told = ""
        self._clock = clock or SteadyClock()
        self._most = waiting
        self._prices = PriceList(Config().prices)
        self._enabled, self._keep = True, Config().usage.keep
        self._queue: deque[Spent | tuple[Spent, float]] = deque()
        self._pending: list[tuple[Any, ...]] = []
        """Rows that could not be written yet."""
        self._measured: list[tuple[float, float | None, float, float]] = []
        self._orders: deque[_Order] = deque()
        self._woken, self._hurry = threading.Event(), threading.Event()
        self._ending = False
        self._tidied, self._tidied_every = time.monotonic(), tidied_every
        self._tally = Tally()
        self._reads = Reads()
        self._thread = threading.Thread(target=self._run, daemon=True, name="usage")

    def follow(self, config: Config) -> None:
        """Work by these settings from now on."""
        self._prices = PriceList(config.prices)
        self._enabled, self._keep = config.usage.enabled, config.usage.keep

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def take(self, spent: Spent) -> None:
        """A request has ended; only those that reached a model count."""
        if not spent.model or not self._enabled:
            return
        self._tally.count(spent)
        self._put(spent)

    def energy(self, spent: Spent, joules: float) -> None:
        """An earlier request, the same value as in ``take``, has used this energy."""
        if spent.model and self._enabled:
            self._put((spent, joules))

    def _put(self, item: Spent | tuple[Spent, float]) -> None:
        if len(self._queue) + len(self._pending) >= self._most:
            self._lose(item)
            return
        self._queue.append(item)
        if not self._woken.is_set():
            self._woken.set()

    def _lose(self, item: Spent | tuple[Spent, float]) -> None:
        if isinstance(item, Spent):
            if not self._overflowed:  # the thread that writes may hang, so that it can't tell this
                _LOG.error("%d requests wait to be recorded for the usage: further ones are lost", self._most)
            self._overflowed += 1

    @property
    def lost(self) -> int:
        """Requests that were not recorded since the start."""
        return self._overflowed + self._unwritable

    @property
    def problem(self) -> str:
        """Why a report may lack something; empty: it lacks nothing."""
        return self._told

    async def report(
        self, by: Sequence[str], since: float, until: float, *, only: Caller | None = None
    ) -> list[dict[str, Any]]:
        """Sums, as ``table.report``, up to the last request that has ended; what can't be written is left out.

        Raises StoreFailed, Busy, BadRequest.
        """
        with suppress(StoreFailed):
            await self._ordered(lambda _: None)

        def read() -> list[dict[str, Any]]:
            connection = table.read_only(self._file.path)
            try:
                return table.report(connection, by, since, until, only=only)
            finally:
                connection.close()

        try:
            return await self._reads.done(object(), read, _PATIENCE)
        except TimeoutError:
            raise Busy("the usage could not be read in time; ask for fewer days") from None
        except table.TooMany:
            raise BadRequest(f"the report has more than {table.MOST_ROWS:,} rows: ask for fewer days") from None
        except sqlite3.Error as error:
            broken = error
            self._order(lambda _: _fail(broken))
            raise StoreFailed(f"the usage can't be read: {error}") from error

    async def forget(self, person: str) -> int:
        """Delete what is known of a person; how many rows there were. Raises StoreFailed, Busy."""
        return await self._ordered(lambda connection: table.forget(connection, person))

    def close(self) -> None:
        """Write what waits, and end. Call it in a thread."""
        self._ending = True
        self._hurry.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        yield CounterMetricFamily(
            "vllama_usage_lost", "Requests that ended and could not be recorded for the usage.", value=self.lost
        )
        yield from self._tally.collect()

    def _order(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        result: Future[T] = Future()
        self._orders.append((work, result))
        self._hurry.set()
        self._woken.set()
        return result

    async def _ordered(self, work: Callable[[sqlite3.Connection], T]) -> T:
        result = self._order(work)
        try:
            return await self._reads.done(result, lambda: result.result(_PATIENCE), _PATIENCE)
        except TimeoutError:
            raise Busy("the file of the usage does not answer; try again later") from None

    # --- in the writing thread

    def _run(self) -> None:
        while not self._ending:
            self._woken.wait(_RETRY if self._pending or self._measured else self._tidied_every)
            self._hurry.wait(_BATCH)
            self._hurry.clear()
            self._woken.clear()
            self._turn()
        self._turn()
        self._file.close()
        if self._pending:
            _LOG.error("%d requests could not be recorded for the usage", len(self._pending))

    def _turn(self) -> None:
        orders = [self._orders.popleft() for _ in range(len(self._orders))]
        said, refused = self._file.told, ""
        try:
            self._drain()
            self._file.renewed()
            self._work(orders)
        except _FAILURES as error:
            said, refused = self._failed(error, orders)
        self._say(said)
        for _, result in orders:
            result.set_exception(StoreFailed(refused))

    def _failed(self, error: Exception, orders: list[_Order]) -> tuple[str, str]:
        """What to tell an administrator, and those who wait for their orders."""
        if isinstance(error, _IMPOSSIBLE) or not isinstance(error, (sqlite3.Error, OSError)):
            self._unwritable += len(self._pending)  # a row that no database takes must not hold up the next ones
            self._pending, self._measured = [], []
            text = f"requests could not be recorded for the usage: {error}"
            return text, text
        if self._file.put_aside(error):
            return self._file.told, self._again(orders)
        self._file.close()
        text = f"the usage can't be recorded: {_why(error)}"
        lost = f", {self.lost} are lost" if self.lost else ""
        return f"{text}; {len(self._pending)} requests wait{lost}", text

    def _again(self, orders: list[_Order]) -> str:
        """With a new file; what fails now is tried again later. Why it failed."""
        try:
            self._work(orders)
        except _FAILURES as error:
            self._file.close()
            return f"the usage can't be recorded: {_why(error)}"
        return ""

    def _drain(self) -> None:
        """Rows are made here, not on the event loop."""
        cost = self._prices.cost
        for _ in range(len(self._queue)):
            item = self._queue.popleft()
            if isinstance(item, Spent):
                self._pending.append(table.row_of(item, cost(item)))
            else:
                spent, joules = item
                self._measured.append((joules, cost(spent, joules), spent.began, spent.seconds))

    def _work(self, orders: list[_Order]) -> None:
        if not (self._pending or self._measured or orders or self._file.is_open):
            return
        connection = self._file.opened()
        if self._pending or self._measured:
            table.write(connection, self._pending, self._measured)
            self._pending, self._measured = [], []
        while orders:
            work, result = orders[0]
            done = work(connection)
            orders.pop(0)
            result.set_result(done)
        now = self._clock.now()
        if now is not None and time.monotonic() - self._tidied >= self._tidied_every:
            self._tidied = time.monotonic()
            table.roll_up(connection, now - table.DETAILED, now - self._keep)

    def _say(self, text: str) -> None:
        if text == self._told:
            return
        if text and text.partition(":")[0] != self._told.partition(":")[0]:
            _LOG.error("%s", text)
        elif not text and self._told:
            _LOG.info("the usage is recorded again")
        self._told = text
        self._tell(text)


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def _fail(error: Exception) -> None:
    raise error
