"""The steps of one answer as the engine sends them, counted and timed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from vllama.answering.reading import Reading
from vllama.engine.wire import Accept
from vllama.errors import EngineRefused
from vllama.observe.meter import Meter
from vllama.translate.engine.faults import refusal
from vllama.translate.pieces import Ending, Step


class Answer:
    """The steps of one answer; iterate over it once."""

    def __init__(
        self,
        meter: Meter,
        reading: Reading,
        loaded: float,
        headers: dict[str, str],
        *,
        steps: AsyncIterator[list[Step]] | None = None,
    ) -> None:
        """``steps``: what becomes of ``reading`` where it takes more than one request; it can't be poured then."""
        self._meter = meter
        self._reading = reading if steps is None else None
        self._steps = aiter(reading) if steps is None else steps
        self._loaded = loaded
        self._first: list[Step] = []
        self.headers = headers
        """Headers of ours: what there was not room for."""

    async def wait(self) -> None:
        """Wait for the first steps and keep them; raises EngineRefused, too."""
        self._first = await anext(self._steps, [])
        if self._first:
            self._count(self._first)

    async def __aiter__(self) -> AsyncIterator[list[Step]]:
        steps = self._first
        while steps:
            yield steps
            steps = await self._next()

    async def _next(self) -> list[Step]:
        try:
            steps: list[Step] = await anext(self._steps, [])
        except EngineRefused as error:
            raise refusal(error) from error
        if steps:
            self._count(steps)
        return steps

    async def pour(self, accept: Accept[list[Step]], accept_text: Accept[bytes]) -> None:
        """The fast path, as ``Events.pour``; to be called between two steps of the iteration.

        Reads that contain exactly one text delta go to ``accept_text``, as a JSON string.
        """
        if self._reading is None:
            return
        extract_text, count = self._reading.extract_text, self._meter.tokens

        def take_text(data: bytes) -> bool | None:
            if not (string := extract_text(data)):
                return None
            count()
            return accept_text(string)

        def take(steps: list[Step]) -> bool:
            self._count(steps)
            return accept(steps)

        try:
            await self._reading.pour(take, take_text)
        except EngineRefused as error:
            raise refusal(error) from error

    def _count(self, steps: list[Step]) -> None:
        self._meter.tokens()
        if isinstance(final := steps[-1], Ending):
            self._meter.usage(final.prompt_tokens, final.completion_tokens, final.cached_tokens)
            final.load_ns = _ns(self._loaded - self._meter.began)
            final.total_ns = _ns(time.perf_counter() - self._meter.began)


def _ns(seconds: float) -> int:
    return max(1, round(seconds * 1e9))
