"""Several answers to one request (OpenAI's ``n``): each is a call of its own, and their steps come as they are made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiohttp import web

from vllama.errors import EngineError
from vllama.http.generation import open_answer
from vllama.models.model import Model
from vllama.translate.pieces import ChatCall, Final, Piece, TextCall
from vllama.translate.stream import Step
from vllama.translate.whole import Whole, first_call_only, gather

Chosen = tuple[int, list[Step]]
"""The number of a choice and what it said next."""


@dataclass(frozen=True, slots=True)
class Choices:
    """All answers to one request: iterate ``steps`` once."""

    steps: AsyncIterator[Chosen]
    headers: Mapping[str, str]
    count: int

    async def gather(self) -> list[Whole]:
        """Wait for all of them."""
        pieces: list[list[Piece]] = [[] for _ in range(self.count)]
        finals: dict[int, Final] = {}
        async for choice, steps in self.steps:
            pieces[choice] += [step for step in steps if isinstance(step, Piece)]
            if isinstance(last := steps[-1], Final):
                finals[choice] = last
        if len(finals) < self.count:
            raise EngineError("the answer ended without its last event")
        return [gather(said, finals[choice]) for choice, said in enumerate(pieces)]


@asynccontextmanager
async def open_choices(
    request: web.Request, model: Model, call: ChatCall | TextCall, *, count: int = 1, parallel_calls: bool = True
) -> AsyncIterator[Choices]:
    """Open ``count`` answers and wait for the first event; raises what ``open_answer`` raises.

    ``parallel_calls`` false: of each answer only its first tool call is told.
    """
    if count == 1:
        async with open_answer(request, model, call) as answer:
            steps = _numbered(0, answer)
            yield Choices(steps if parallel_calls else _first_calls(steps), answer.headers, 1)
        return
    told: asyncio.Queue[_Told] = asyncio.Queue(maxsize=count * 2)
    pumps = [asyncio.create_task(_pump(request, model, _varied(call, n), n, told)) for n in range(count)]
    try:
        first = await told.get()
        steps = _merged(first, told, count)
        headers = _raised(first).headers
        yield Choices(steps if parallel_calls else _first_calls(steps), headers, count)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _News:
    """What one choice said next; None for its end."""

    choice: int
    steps: list[Step] | None
    headers: Mapping[str, str]


_Told = _News | Exception


async def _pump(
    request: web.Request, model: Model, call: ChatCall | TextCall, choice: int, told: asyncio.Queue[_Told]
) -> None:
    try:
        async with open_answer(request, model, call) as answer:
            async for steps in answer:
                await told.put(_News(choice, steps, answer.headers))
            await told.put(_News(choice, None, answer.headers))
    except Exception as error:  # noqa: BLE001 - raised again by the one who waits
        await told.put(error)


async def _merged(first: _Told, told: asyncio.Queue[_Told], count: int) -> AsyncIterator[Chosen]:
    news = _raised(first)
    while True:
        if news.steps is None:
            count -= 1
            if not count:
                return
        else:
            yield news.choice, news.steps
        news = _raised(await told.get())


def _raised(news: _Told) -> _News:
    if isinstance(news, Exception):
        raise news
    return news


def _varied(call: ChatCall | TextCall, choice: int) -> ChatCall | TextCall:
    """The same call with another seed: with the same one all answers would be the same."""
    seed = call.options.get("seed")
    if not isinstance(seed, int):
        return call
    return replace(call, options={**call.options, "seed": seed + choice})


async def _numbered(choice: int, answer: AsyncIterable[list[Step]]) -> AsyncIterator[Chosen]:
    async for steps in answer:
        yield choice, steps


async def _first_calls(chosen: AsyncIterator[Chosen]) -> AsyncIterator[Chosen]:
    async for choice, steps in chosen:
        yield choice, first_call_only(steps)
