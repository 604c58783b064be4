"""Sends the work: N clients at once, each sending its next request as soon as it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from vllama.bench.events import TimedAnswer
from vllama.bench.samples import Leg, Sample, Target
from vllama.bench.workload import Workload
from vllama.errors import BadRequest

_READ_BUFFER: Final = 1 << 20
_CONNECT_SECONDS: Final = 10
PATIENCE: Final = 600.0
"""Seconds for which a target may send nothing."""


@dataclass
class _Attempt:
    """Of sending a request."""

    kept: bool = False
    """It went over a connection that had served another one."""
    begun: bool = False
    """Something of the answer came."""


@asynccontextmanager
async def connect(address: str, patience: float = PATIENCE) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to a target, kept for all legs; raises BadRequest for an invalid address."""
    scheme, _, rest = address.partition(":")
    if scheme == "unix" and rest:
        connector: aiohttp.BaseConnector = aiohttp.UnixConnector(rest, limit=0)
        base = "http://engine"
    else:
        connector, base = aiohttp.TCPConnector(limit=0), _checked(address)
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_read=patience)
    async with aiohttp.ClientSession(
        base, connector=connector, timeout=timeout, read_bufsize=_READ_BUFFER, trace_configs=[_tracing()]
    ) as session:
        yield session


def _checked(address: str) -> str:
    """A URL of a server, without more."""
    advice = "Give http://HOST:PORT or unix:/PATH."
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if not host or url.scheme not in {"http", "https"} or port == 0:
        raise BadRequest(f"{address!r} is not an address", hint=advice)
    if url.path.strip("/") or url.query or url.fragment:
        raise BadRequest(f"{address!r} has a path; give only the server's address", hint=advice)
    return f"{url.scheme}://{url.netloc}"


def _tracing() -> aiohttp.TraceConfig:
    """Notes in a request's attempt what happens to it."""

    async def reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
        if isinstance(attempt := context.trace_request_ctx, _Attempt):
            attempt.kept = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(reused)
    return config


async def send(
    session: aiohttp.ClientSession,
    target: Target,
    work: Workload,
    bodies: Sequence[bytes],
    *,
    clients: int,
    round_: int = 0,
) -> Leg:
    """``clients`` at once send these requests; each takes the next one as soon as it is answered."""
    path, waiting = work.path(target.dialect), iter(bodies)

    async def client(share: Iterator[bytes]) -> list[Sample]:
        return [await _ask(session, path, body, TimedAnswer(target.dialect, stream=work.stream)) for body in share]

    began = time.perf_counter()
    answers = await asyncio.gather(*(client(waiting) for _ in range(clients)))
    seconds = time.perf_counter() - began
    return Leg(target.name, clients, seconds, tuple(sample for some in answers for sample in some), round_)


async def _ask(session: aiohttp.ClientSession, path: str, body: bytes, answer: TimedAnswer) -> Sample:
    """One request, from sending it to the end of its answer.

    A server may close a connection that we keep at any moment. A request that met that, and no byte of an answer, is
    sent again, as every client of HTTP does; each time one kept connection less is left, and the last is a new one.
    """
    began = time.perf_counter()
    while True:
        attempt = _Attempt()
        try:
            async with session.post(
                path, data=body, headers={"Content-Type": "application/json"}, trace_request_ctx=attempt
            ) as response:
                attempt.begun = True
                async for data in response.content.iter_any():
                    answer.feed(data, time.perf_counter() - began)
                return answer.end(response.status, time.perf_counter() - began)
        except (aiohttp.ClientError, OSError) as error:
            closed = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError)
            if closed and attempt.kept and not attempt.begun:
                continue
            return Sample(total=time.perf_counter() - began, error=_said(error, session))


def _said(error: Exception, session: aiohttp.ClientSession) -> str:
    """What happened, for people."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"it took no connection within {_CONNECT_SECONDS} s"
    if isinstance(error, TimeoutError):
        return f"it sent nothing for {session.timeout.sock_read:g} s"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it closed the connection in the middle of an answer"
    return f"{type(error).__name__}: {error}"
