"""Reads of files that may never return (a stale network file system): each in a thread of its own, with a limit.

A thread that hangs in the kernel can't be ended. It is left alone: it is a daemon thread, so it holds up neither the
event loop, nor the pool of threads that others use, nor the end of the service.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDone
from typing import TypeVar

T = TypeVar("T")


class Reads:
    """Reads of one kind, each under a key. Its methods may be called from any thread."""

    def __init__(self, on_late: Callable[[], None] = lambda: None) -> None:
        """``on_late``: a read that was given up has ended after all; called in its thread."""
        self._on_late = on_late
        self._lock = threading.Lock()
        self._hanging: set[Hashable] = set()

    def wait(self, key: Hashable, read: Callable[[], T], seconds: float) -> T:
        """What ``read`` returns or raises; TimeoutError after ``seconds``.

        Also TimeoutError at once, as long as an earlier read of this key hangs.
        """
        result = self._begin(key, read)
        try:
            return result.result(seconds)
        except NotDone:
            if self._give_up(key, result):
                raise TimeoutError from None
            return result.result()

    async def done(self, key: Hashable, read: Callable[[], T], seconds: float) -> T:
        """As ``wait``, for the event loop."""
        result = self._begin(key, read)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(asyncio.wrap_future(result))
        except TimeoutError:
            if self._give_up(key, result):
                raise
            return result.result()

    def _begin(self, key: Hashable, read: Callable[[], T]) -> Future[T]:
        with self._lock:
            if key in self._hanging:
                raise TimeoutError
        result: Future[T] = Future()
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run, key, read, result), daemon=True, name="read").start()
        return result

    def _run(self, key: Hashable, read: Callable[[], T], result: Future[T]) -> None:
        try:
            found = read()
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting caller
            with self._lock:
                result.set_exception(error)
        else:
            with self._lock:
                result.set_result(found)
        with self._lock:
            late = key in self._hanging
            self._hanging.discard(key)
        if late:
            self._on_late()

    def _give_up(self, key: Hashable, result: Future[T]) -> bool:
        """Stop waiting; false if the read has just ended."""
        with self._lock:
            if result.done():
                return False
            self._hanging.add(key)
            return True
