"""Sends the work: so many clients at once, each asking again as soon as it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from vllama.bench.samples import Answer, Leg, Target
from vllama.bench.workload import Dialect, Workload, tokens_of
from vllama.errors import BadRequest, NotFound

_TAIL = 4096  # bytes; the chunk with the counts is the last or next to last and well under this
_READ_BUFFER = 1 << 20


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to a target, kept for all legs; raises BadRequest for an address that is none."""
    scheme, _, rest = target.address.partition(":")
    if scheme == "unix":
        connector: aiohttp.BaseConnector = aiohttp.UnixConnector(rest, limit=0)
        base = "http://engine"
    elif scheme in {"http", "https"}:
        connector, base = aiohttp.TCPConnector(limit=0), target.address
    else:
        raise BadRequest(f"{target.address!r} is no address", hint="give http://HOST:PORT or unix:/PATH")
    timeout = aiohttp.ClientTimeout(total=None, connect=10)
    async with aiohttp.ClientSession(base, connector=connector, timeout=timeout, read_bufsize=_READ_BUFFER) as session:
        yield session


async def fetch(target: Target, path: str) -> bytes:
    """One GET; raises NotFound when nobody answers it well."""
    try:
        async with connect(target) as session, session.get(path) as answer:
            if answer.status == 200:
                return await answer.read()
            said = f"answers {answer.status}"
    except (aiohttp.ClientError, OSError) as error:
        said = str(error)
    raise NotFound(f"{target.address} can't be measured: {said}")


async def drive(session: aiohttp.ClientSession, target: Target, work: Workload, *, clients: int, requests: int) -> Leg:
    """``clients`` at once send ``requests`` each."""
    path, body = work.path(target.dialect), work.body(target.dialect, target.model)

    async def client() -> list[Answer]:
        return [await _ask(session, path, body, target.dialect) for _ in range(requests)]

    began = time.perf_counter()
    answers = await asyncio.gather(*(client() for _ in range(clients)))
    seconds = time.perf_counter() - began
    return Leg(target.name, clients, seconds, tuple(answer for some in answers for answer in some))


async def _ask(session: aiohttp.ClientSession, path: str, body: bytes, dialect: Dialect) -> Answer:
    began = time.perf_counter()
    first, tail = 0.0, b""
    try:
        async with session.post(path, data=body, headers={"Content-Type": "application/json"}) as answer:
            async for data in answer.content.iter_any():
                first = first or time.perf_counter() - began
                tail = (tail + data)[-_TAIL:]
            status = answer.status
    except (aiohttp.ClientError, OSError) as error:
        return Answer(first, time.perf_counter() - began, 0, f"{type(error).__name__}: {error}")
    total = time.perf_counter() - began
    tokens = tokens_of(dialect, tail) if status == 200 else -1
    if tokens < 0:
        said = tail.decode("utf-8", "replace").strip().splitlines()
        return Answer(first, total, 0, f"{status}: {said[-1][:200] if said else 'an empty answer'}")
    return Answer(first, total, tokens)
