"""``python -m tests.load.usage``: what recording requests costs the event loop and the thread that writes, and reports.

All times are CPU time of one thread, so they hold on a busy machine as well; those of reports are a clock's.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from aiohttp.test_utils import make_mocked_request

from vllama.caller import Caller
from vllama.config.schema import Config, People, Server
from vllama.http.peers import Peer, read_reach
from vllama.http.people import person_of
from vllama.observe.machine_time import MachineTime
from vllama.observe.spent import Spent
from vllama.observe.usage import table
from vllama.observe.usage.prices import PriceList
from vllama.observe.usage.usage import Usage

_REQUESTS = 100_000
_TIMES = 20_000
_PRICES = {"currency": "EUR", "models": {"qwen3:8b": {"input": 0.1, "cached": 0.02, "output": 0.4}}}
_SPENT = Spent(
    Caller("10.0.0.7", "k1", "open-webui", "use", "anna@example.org"), "/api/chat", "qwen3:8b", 200, 2.0,
    began=1_796_000_000.0, waiting=0.01, machine_seconds=0.5, first_token=0.2, prompt_tokens=812, cached_tokens=512,
    generated_tokens=311,
)  # fmt: skip


def microseconds(what: Callable[[], object], times: int = _TIMES) -> float:
    """CPU time of a call, in the best of five rounds."""
    found = []
    for _ in range(5):
        began = time.thread_time()
        for _ in range(times):
            what()
        found.append((time.thread_time() - began) / times)
    return min(found) * 1e6


def on_the_loop(folder: Path) -> None:
    """Each request pays this on the event loop."""
    usage = Usage(folder / "loop.db", print, waiting=1 << 30)
    usage.start()
    machine = MachineTime()
    print(f"to hand over a request:         {microseconds(lambda: usage.take(_SPENT)):6.2f} us of the loop")
    print(f"to share the machine's time:    {microseconds(lambda: machine.end(machine.begin())):6.2f} us of the loop")
    usage.close()
    people = People(header="X-OpenWebUI-User-Email")
    reach, peer = read_reach(Server()), Peer(None)
    asked = make_mocked_request("POST", "/api/chat", {"X-OpenWebUI-User-Email": "anna@example.org"})
    cost = microseconds(lambda: person_of(asked, people, reach, peer, _SPENT.caller))
    print(f"to read the person's name:      {cost:6.2f} us of the loop")


def in_the_thread(file: Path) -> None:
    """The rows of 100,000 requests of 1,000 people, on 100 days."""
    prices = PriceList(Config.model_validate({"prices": _PRICES}).prices)
    connection = table.opened(file)
    began = time.thread_time()
    for batch in range(0, _REQUESTS, 50):
        rows = []
        for n in range(batch, batch + 50):
            caller = replace(_SPENT.caller, person=f"person{n % 1000}@example.org")
            spent = replace(_SPENT, began=_SPENT.began + n * 86.4, caller=caller)
            rows.append(table.row_of(spent, prices.cost(spent)))
        table.write(connection, rows, [])
    passed = time.thread_time() - began
    print(f"to write, in batches of 50:     {passed / _REQUESTS * 1e6:6.2f} us of the thread")
    connection.close()
    print(f"size of 100,000 requests:       {file.stat().st_size / 1e6:6.1f} MB")


async def reports(file: Path) -> None:
    """Of these rows, before and after their days became sums."""
    usage = Usage(file, print)
    usage.start()
    for what in ("rows", "sums"):
        for by in (("model",), ("person", "month"), ("model", "day")):
            began = time.perf_counter()
            found = await usage.report(by, 0, 2e9)
            passed = time.perf_counter() - began
            print(f"report of {what} by {','.join(by):15} {passed * 1e3:6.0f} ms, {len(found):,} rows")
        connection = table.opened(file)
        table.roll_up(connection, 2e9, 0)
        connection.close()
    usage.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        on_the_loop(Path(made))
        in_the_thread(Path(made) / "usage.db")
        asyncio.run(reports(Path(made) / "usage.db"))
