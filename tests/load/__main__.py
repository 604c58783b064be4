"""``python -m tests.load``: what the front end costs under many streams, by dialect.

The service, the fake engine and this are three processes. The cost is the service's own CPU time, so it holds on a
busy machine as well; the added time to the first token is taken against the same engine in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
from dataclasses import asdict, dataclass

import psutil

from tests.load.pages import page_cost
from tests.load.stand import Stand, cpu_seconds, started
from tests.load.streams import DIALECTS, ENGINE, NATIVE_CHAT, Dialect, Stream, open_stream

_PROMPT = "Count to 3000"  # nobody reads so far
_CONTEXT = 100_000


@dataclass(frozen=True, slots=True)
class Cost:
    """One dialect under so many open streams."""

    dialect: str
    streams: int
    events_per_second: float
    events_per_arrival: float
    cpu_per_event: float
    """Microseconds of the service's CPU."""
    memory: int
    """Bytes of the service's resident set while they are open."""


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Seconds to the first token, both ways."""

    clients: int
    direct_p50: float
    direct_p99: float
    through_p50: float
    through_p99: float
    cpu_per_request: float
    """Milliseconds of the service's CPU for a request and all its tokens."""


async def streaming(stand: Stand, dialect: Dialect, streams: int, seconds: float) -> Cost:
    """Open the streams, wait for every first token, then count for a while."""
    process = psutil.Process(stand.pid)
    request = dialect.request(stand.model, _PROMPT, _CONTEXT // 2)
    opened: list[Stream] = []
    for _ in range(streams):
        opened.append(await open_stream(stand.through, request, dialect.mark))
    try:
        await asyncio.gather(*(stream.begun for stream in opened))
        await asyncio.sleep(1)  # the requests' own work is over
        began, events, arrivals = cpu_seconds(stand.pid), _sum(opened, "events"), _sum(opened, "arrivals")
        start = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        spent, passed = cpu_seconds(stand.pid) - began, asyncio.get_running_loop().time() - start
        events, arrivals = _sum(opened, "events") - events, _sum(opened, "arrivals") - arrivals
        memory = process.memory_info().rss
    finally:
        for stream in opened:
            stream.transport.abort()
    await asyncio.sleep(1)
    return Cost(dialect.name, streams, events / passed, events / arrivals, spent / events * 1e6, memory)


def _sum(streams: list[Stream], what: str) -> int:
    return sum(getattr(stream, what) for stream in streams)


async def first_tokens(stand: Stand, clients: int, rounds: int) -> FirstToken:
    """All clients ask in the same moment for one token, each on a new connection; the engine and us in turns."""
    ways = {
        "direct": (stand.direct, ENGINE.request(stand.served_name, "Count to 5", 1), ENGINE.mark),
        "through": (stand.through, NATIVE_CHAT.request(stand.model, "Count to 5", 1), NATIVE_CHAT.mark),
    }
    seen: dict[str, list[float]] = {way: [] for way in ways}
    spent = 0.0
    for round_ in range(rounds + 1):  # the first warms up
        for way in ways if round_ % 2 else reversed(ways):
            address, request, mark = ways[way]
            before = cpu_seconds(stand.pid)
            asked = await asyncio.gather(*(open_stream(address, request, mark) for _ in range(clients)))
            times = await asyncio.gather(*(stream.begun for stream in asked))
            await asyncio.gather(*(stream.ended for stream in asked))
            for stream in asked:
                stream.transport.close()
            if round_:
                seen[way] += times
                spent += cpu_seconds(stand.pid) - before if way == "through" else 0.0
    return FirstToken(clients, *_both(seen), spent / rounds / clients * 1e3)


async def steady(stand: Stand, clients: int, rounds: int, seconds: float) -> FirstToken:
    """Each client asks again and again, in its own rhythm and over the connection that it keeps; in turns as above."""
    lengths = range(10, 31)
    ways = {
        "direct": (stand.direct, [ENGINE.request(stand.served_name, "Count to 50", n) for n in lengths], ENGINE.mark),
        "through": (
            stand.through,
            [NATIVE_CHAT.request(stand.model, "Count to 50", n) for n in lengths],
            NATIVE_CHAT.mark,
        ),
    }
    seen: dict[str, list[float]] = {way: [] for way in ways}
    spent, asked = 0.0, 0

    async def client(number: int, way: str) -> None:
        address, requests, mark = ways[way]
        rhythm = random.Random(number)
        stream = await open_stream(address, rhythm.choice(requests), mark)
        while True:
            seen[way].append(await stream.begun)
            await stream.ended
            if asyncio.get_running_loop().time() >= end:
                break
            stream.ask(rhythm.choice(requests))
        stream.transport.close()

    for round_ in range(rounds):
        for way in ways if round_ % 2 else reversed(ways):
            before, known = cpu_seconds(stand.pid), len(seen["through"])
            end = asyncio.get_running_loop().time() + seconds
            await asyncio.gather(*(client(round_ * clients + number, way) for number in range(clients)))
            spent += cpu_seconds(stand.pid) - before if way == "through" else 0.0
            asked += len(seen["through"]) - known
    return FirstToken(clients, *_both(seen), spent / asked * 1e3)


def _both(seen: dict[str, list[float]]) -> tuple[float, float, float, float]:
    return (*_percentiles(seen["direct"]), *_percentiles(seen["through"]))


def _percentiles(values: list[float]) -> tuple[float, float]:
    """The 50th and the 99th."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


async def main(given: argparse.Namespace, stand: Stand) -> None:
    """All figures, as they come."""
    reported: dict[str, object] = {"memory_at_rest": psutil.Process(stand.pid).memory_info().rss, "costs": []}
    print(f"at rest: {reported['memory_at_rest'] / 1e6:.1f} MB")
    if given.pages:
        for streams in given.streams:
            found = await page_cost(stand, streams, given.pages, given.rounds, given.seconds)
            print(
                f"{found.pages} pages, {found.streams} streams: {found.without:.2f} us an event without,"
                f" {found.with_pages:.2f} us with, ratio {found.ratio:.3f}, {found.core:.2%} of a core each page",
                flush=True,
            )
        return
    for streams in given.streams:
        for dialect in DIALECTS:
            if given.only and dialect.name not in given.only:
                continue
            cost = await streaming(stand, dialect, streams, given.seconds)
            reported["costs"].append(asdict(cost))
            print(
                f"{dialect.name:22} {streams:5} streams {cost.events_per_second:8,.0f} events/s "
                f"{cost.events_per_arrival:5.2f} an arrival {cost.cpu_per_event:6.1f} us an event "
                f"{cost.memory / 1e6:6.1f} MB",
                flush=True,
            )
    for clients in given.clients:
        first = await first_tokens(stand, clients, given.rounds)
        reported.setdefault("first", []).append(asdict(first))
        report("first token, all at once", first)
        first = await steady(stand, clients, 4, given.seconds)
        reported.setdefault("steady", []).append(asdict(first))
        report("first token, each in its rhythm", first)
    if given.json:
        print(json.dumps(reported))


def report(what: str, first: FirstToken) -> None:
    """One line."""
    print(
        f"{what}, {first.clients:3} clients:"
        f" direct p50 {first.direct_p50 * 1e3:.2f} p99 {first.direct_p99 * 1e3:.2f}"
        f" through p50 {first.through_p50 * 1e3:.2f} p99 {first.through_p99 * 1e3:.2f} ms,"
        f" {first.cpu_per_request:.2f} ms CPU a request",
        flush=True,
    )


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=_numbers, default=[50, 500])
    parser.add_argument("--token-rate", type=float, default=40.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=_numbers, default=[1, 50])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pages", type=int, default=0, help="measure what so many open pages cost, and nothing else")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with started(args.token_rate) as found:
        asyncio.run(main(args, found))
