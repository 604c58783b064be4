"""What open pages cost: the service's CPU under the same streams with and without clients of its events, in turns."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass

from tests.load.stand import Stand, cpu_seconds
from tests.load.streams import NATIVE_CHAT, Stream, open_stream

_ASKED = b"GET /vllama/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
_MARK = b"event: status"


@dataclass(frozen=True, slots=True)
class PageCost:
    """Medians over the rounds."""

    pages: int
    streams: int
    without: float
    """Microseconds of the service's CPU for an event of a stream, with no page open."""
    with_pages: float
    ratio: float
    """Of a round's two, with to without."""
    core: float
    """Share of a core that each page took, at the same number of events."""


async def page_cost(stand: Stand, streams: int, pages: int, rounds: int, seconds: float) -> PageCost:
    """Each round measures both; which one is first alternates."""
    request = NATIVE_CHAT.request(stand.model, "Count to 3000", 50_000)
    opened = [await open_stream(stand.through, request, NATIVE_CHAT.mark) for _ in range(streams)]
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    try:
        await asyncio.gather(*(stream.begun for stream in opened))
        await asyncio.sleep(1)  # the requests' own work is over
        for number in range(rounds):
            for shown in (number % 2 == 0, number % 2 == 1):
                found[shown].append(await _measure(stand, opened, pages if shown else 0, seconds))
    finally:
        for stream in opened:
            stream.transport.abort()
    costs = {shown: [cost for cost, _ in those] for shown, those in found.items()}
    both = list(zip(costs[True], costs[False], found[True], strict=True))
    return PageCost(
        pages,
        streams,
        statistics.median(costs[False]) * 1e6,
        statistics.median(costs[True]) * 1e6,
        statistics.median(with_ / without for with_, without, _ in both),
        statistics.median((with_ - without) * rate / pages for with_, without, (_, rate) in both),
    )


async def _measure(stand: Stand, opened: list[Stream], pages: int, seconds: float) -> tuple[float, float]:
    """CPU seconds of the service for an event of a stream, and events a second."""
    readers = [await open_stream(stand.through, _ASKED, _MARK) for _ in range(pages)]
    await asyncio.gather(*(reader.begun for reader in readers))
    loop = asyncio.get_running_loop()
    began, events, start = cpu_seconds(stand.pid), sum(one.events for one in opened), loop.time()
    await asyncio.sleep(seconds)
    spent, passed = cpu_seconds(stand.pid) - began, loop.time() - start
    events = sum(one.events for one in opened) - events
    assert all(reader.events > 1 for reader in readers), "each page gets its status"
    for reader in readers:
        reader.transport.abort()
    await asyncio.sleep(0.5)
    return spent / events, events / passed
