"""Sends a request to a leased engine, and to the next one if the first is gone before it answered anything.

The request after an idle engine was killed is the one that notices. It waits for the engine that is started instead,
once; its client notices nothing but the time. A request whose answer has begun is not sent again: its client has read
a part of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from vllama.answering.desk import Desk
from vllama.errors import EngineGone
from vllama.supervisor.port import Lease, Wish
from vllama.translate.options import Options

T = TypeVar("T")


@asynccontextmanager
async def begun(desk: Desk, wish: Wish, begin: Callable[[Lease, AsyncExitStack], Awaitable[T]]) -> AsyncIterator[T]:
    """What ``begin`` returned, with the lease held; ``begin`` returns when the engine has answered something.

    What it enters into its stack is left with the block, before the lease is returned.
    Raises what ``begin`` and ``Engines.lease`` raise.
    """
    async with AsyncExitStack() as stack:
        try:
            value = await _begin(desk, wish, begin, stack)
        except EngineGone:
            await stack.aclose()
            value = await _begin(desk, wish, begin, stack)
        yield value


async def answered(desk: Desk, wish: Wish, ask: Callable[[Lease], Awaitable[T]]) -> T:
    """What ``ask`` returned, for questions that the engine answers in one piece."""
    async with begun(desk, wish, lambda lease, _: ask(lease)) as value:
        return value


async def load(desk: Desk, wish: Wish, options: Options) -> dict[str, str]:
    """Wait until the model is really loaded; returns headers for the answer. Raises what ``Engines.lease`` raises."""
    async with desk.engines.lease(wish) as lease:
        return context_headers(options, lease)


async def _begin(
    desk: Desk, wish: Wish, begin: Callable[[Lease, AsyncExitStack], Awaitable[T]], stack: AsyncExitStack
) -> T:
    lease = await stack.enter_async_context(desk.engines.lease(wish))
    lease = replace(lease, client=lease.client.named(desk.meter.headers))
    desk.meter.leased(wish.model.engine_key)
    try:
        return await begin(lease, await stack.enter_async_context(AsyncExitStack()))
    except EngineGone:
        await lease.suspect()
        raise


def context_headers(options: Options, lease: Lease) -> dict[str, str]:
    """``X-Vllama-Context-Length`` where ``num_ctx`` wants more than the engine has: none is loaded again for it."""
    if 0 < lease.max_model_len < options.num_ctx:
        return {"X-Vllama-Context-Length": str(lease.max_model_len)}
    return {}
