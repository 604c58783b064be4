"""Reads a request's body into the value of its kind of request. The media type does not matter.

What takes milliseconds is decoded in threads, a few bodies at a time: threads share one interpreter, and each body
that is being decoded takes memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from aiohttp import web

from vllama.http.front import front_of
from vllama.translate.decoding import B, decode
from vllama.translate.extent import is_heavy

T = TypeVar("T")
_DECODERS: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="decoder")


async def read_body(request: web.Request, of: type[B]) -> B:
    """The body as a request of this kind; raises BadRequest, and aiohttp's 413 when it is over the limit."""
    async with front_of(request).intake.body(request) as data:
        return await decoded(data, lambda data: decode(data, of))


async def decoded(data: bytes, read: Callable[[bytes], T]) -> T:
    """What ``read`` makes of a body: in a thread where that takes long."""
    return await decoded_apart(data, read) if is_heavy(data) else read(data)


async def decoded_apart(data: bytes, read: Callable[[bytes], T]) -> T:
    """What ``read`` makes of a body, always in a thread."""
    return await asyncio.get_running_loop().run_in_executor(_DECODERS, read, data)
