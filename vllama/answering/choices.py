"""Merges several answers to one request (OpenAI's ``n``, several prompts).

Each is a call of its own, and their steps come as they are made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from vllama.answering.answer import Answer
from vllama.answering.desk import Desk
from vllama.answering.generation import open_answer
from vllama.engine.wire import Accept
from vllama.errors import EngineError
from vllama.supervisor.port import Wish
from vllama.translate.pieces import ChatCall, Ending, Piece, Step, TextCall
from vllama.translate.whole import Whole, first_call_only, gather

NumberedSteps = tuple[int, list[Step]]
"""The number of a choice and what it said next."""


class Choices:
    """All answers to one request; iterate over it once."""

    def __init__(
        self,
        steps: AsyncIterator[NumberedSteps],
        headers: Mapping[str, str],
        count: int,
        *,
        only: Answer | None = None,
        parallel_calls: bool = True,
    ) -> None:
        """``only``: the answer that ``steps`` are of, where there is but one."""
        self.headers = headers
        self._steps = steps
        self._count = count
        self._only = only
        self._parallel_calls = parallel_calls

    async def __aiter__(self) -> AsyncIterator[NumberedSteps]:
        async for choice, steps in self._steps:
            yield choice, self._allowed(steps)

    async def pour(self, accept: Accept[NumberedSteps], accept_text: Accept[bytes]) -> None:
        """The fast path of ``Answer.pour``; several answers have none, because each has a task of its own."""
        if self._only is not None:
            await self._only.pour(lambda steps: accept((0, self._allowed(steps))), accept_text)

    def _allowed(self, steps: list[Step]) -> list[Step]:
        return steps if self._parallel_calls else first_call_only(steps)

    async def gather(self) -> list[Whole]:
        """Wait for all of them."""
        pieces: list[list[Piece]] = [[] for _ in range(self._count)]
        finals: dict[int, Ending] = {}
        async for choice, steps in self:
            pieces[choice] += [step for step in steps if isinstance(step, Piece)]
            if isinstance(last := steps[-1], Ending):
                finals[choice] = last
        if len(finals) < self._count:
            raise EngineError("the answer ended without its last event")
        return [gather(said, finals[choice]) for choice, said in enumerate(pieces)]


@asynccontextmanager
async def open_choices(
    desk: Desk, wish: Wish, *calls: ChatCall | TextCall, count: int = 1, parallel_calls: bool = True
) -> AsyncIterator[Choices]:
    """Open ``count`` answers to each call and wait for the first event; raises what ``open_answer`` raises.

    ``parallel_calls`` false: of each answer only its first tool call is given.
    """
    each, count = count, count * len(calls)
    if count == 1:
        (call,) = calls
        async with open_answer(desk, wish, call) as answer:
            yield Choices(_numbered(0, answer), answer.headers, 1, only=answer, parallel_calls=parallel_calls)
        return
    arrived: asyncio.Queue[_Arrived] = asyncio.Queue(maxsize=count * 2)
    asked = [_varied(call, n) for call in calls for n in range(each)]
    pumps = [asyncio.create_task(_pump(desk, wish, call, n, arrived)) for n, call in enumerate(asked)]
    try:
        first = await arrived.get()
        steps = _merged(first, arrived, count)
        yield Choices(steps, _raised(first).headers, count, parallel_calls=parallel_calls)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _News:
    """The next step of one choice; None for its end."""

    choice: int
    steps: list[Step] | None
    headers: Mapping[str, str]


_Arrived = _News | Exception


async def _pump(
    desk: Desk, wish: Wish, call: ChatCall | TextCall, choice: int, arrived: asyncio.Queue[_Arrived]
) -> None:
    try:
        async with open_answer(desk, wish, call) as answer:
            async for steps in answer:
                await arrived.put(_News(choice, steps, answer.headers))
            await arrived.put(_News(choice, None, answer.headers))
    except Exception as error:  # noqa: BLE001 - raised again by the waiting request
        await arrived.put(error)


async def _merged(first: _Arrived, arrived: asyncio.Queue[_Arrived], count: int) -> AsyncIterator[NumberedSteps]:
    news = _raised(first)
    while True:
        if news.steps is None:
            count -= 1
            if not count:
                return
        else:
            yield news.choice, news.steps
        news = _raised(await arrived.get())


def _raised(news: _Arrived) -> _News:
    if isinstance(news, Exception):
        raise news
    return news


def _varied(call: ChatCall | TextCall, choice: int) -> ChatCall | TextCall:
    """The same call with another seed: with the same one all answers would be the same."""
    seed = call.checked.seed
    return call if seed < 0 else replace(call, checked=replace(call.checked, seed=seed + choice))


async def _numbered(choice: int, answer: AsyncIterable[list[Step]]) -> AsyncIterator[NumberedSteps]:
    async for steps in answer:
        yield choice, steps
