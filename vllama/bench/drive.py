"""Sends the work: so many clients at once, each asking again as soon as it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from vllama.bench.events import Answer
from vllama.bench.samples import Leg, Sample, Target
from vllama.bench.workload import Workload
from vllama.errors import BadRequest

_READ_BUFFER = 1 << 20
_CONNECT_SECONDS = 10


@asynccontextmanager
async def connect(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to a target, kept for all legs; raises BadRequest for an address that is none."""
    scheme, _, rest = address.partition(":")
    if scheme == "unix" and rest:
        connector: aiohttp.BaseConnector = aiohttp.UnixConnector(rest, limit=0)
        base = "http://engine"
    elif scheme in {"http", "https"} and rest.startswith("//"):
        connector, base = aiohttp.TCPConnector(limit=0), address
    else:
        raise BadRequest(f"{address!r} is no address", hint="give http://HOST:PORT or unix:/PATH")
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS)
    async with aiohttp.ClientSession(base, connector=connector, timeout=timeout, read_bufsize=_READ_BUFFER) as session:
        yield session


async def drive(
    session: aiohttp.ClientSession,
    target: Target,
    work: Workload,
    *,
    clients: int,
    requests: int,
    round_: int = 0,
    place: int = 0,
) -> Leg:
    """``clients`` at once send ``requests`` in all; who is answered takes the next one.

    The words depend on ``clients`` and ``round_`` only, so every target is asked the same ones; ``place``, the target's
    among all, says with which they begin: nothing is asked twice, even where two targets share an engine.
    """
    seed = f"{round_}/{clients}"
    bodies = [work.body(target.dialect, target.model, seed, number, place) for number in range(requests)]
    return await send(session, target, work, bodies, clients=clients, round_=round_)


async def send(
    session: aiohttp.ClientSession,
    target: Target,
    work: Workload,
    bodies: Sequence[bytes],
    *,
    clients: int,
    round_: int = 0,
) -> Leg:
    """``clients`` at once send these requests."""
    path, waiting = work.path(target.dialect), iter(bodies)

    async def client(share: Iterator[bytes]) -> list[Sample]:
        return [await _ask(session, path, body, Answer(target.dialect, stream=work.stream)) for body in share]

    began = time.perf_counter()
    answers = await asyncio.gather(*(client(waiting) for _ in range(clients)))
    seconds = time.perf_counter() - began
    return Leg(target.name, clients, seconds, tuple(sample for some in answers for sample in some), round_)


async def _ask(session: aiohttp.ClientSession, path: str, body: bytes, answer: Answer) -> Sample:
    began = time.perf_counter()
    try:
        async with session.post(path, data=body, headers={"Content-Type": "application/json"}) as response:
            async for data in response.content.iter_any():
                answer.feed(data, time.perf_counter() - began)
            return answer.end(response.status, time.perf_counter() - began)
    except (aiohttp.ClientError, OSError) as error:
        return Sample(total=time.perf_counter() - began, error=f"{type(error).__name__}: {error}")
