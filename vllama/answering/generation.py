"""The one way from a call to an answer, for all dialects: lease, request, stream, pieces.

::

    async with open_answer(desk, wish, call) as answer:
        async for steps in answer:      # lists of Piece; the last list ends with the Ending
            ...
            await answer.pour(...)      # may be: what comes is called back in the read that brings it

Entering waits for the engine's first event, so that what raises there still becomes a status, and an engine that is
gone before it is replaced by the next one (``answering.leasing``); what raises inside comes after output began. Leaving
early aborts the engine's request and returns the lease.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from vllama.answering.desk import Desk
from vllama.answering.fitting import Fitting, Prepared
from vllama.answering.leasing import begun, context_headers
from vllama.answering.reading import Reading
from vllama.answering.two_passes import Second, think_then_answer
from vllama.engine.client import Events
from vllama.engine.wire import Accept
from vllama.errors import EngineRefused
from vllama.observe.metrics import Meter
from vllama.supervisor.port import Lease, Wish
from vllama.translate.bounds import LIGHT, Heavy, check_call, check_schemas, schemas_of
from vllama.translate.engine.faults import is_refused_form, refusal
from vllama.translate.engine.requests import for_model
from vllama.translate.engine.stream import Step
from vllama.translate.pieces import ChatCall, Ending, TextCall
from vllama.translate.schemas.grammars import enforceable

_log = logging.getLogger(__name__)
_Call = TypeVar("_Call", bound=ChatCall | TextCall)


class Answer:
    """One answer on its way: iterate it once."""

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

        Where a read brings one more text and nothing else, ``accept_text`` gets it as a JSON string.
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
            self._meter.usage(final.prompt_tokens, final.completion_tokens)
            final.load_ns = _ns(self._loaded - self._meter.began)
            final.total_ns = _ns(time.perf_counter() - self._meter.began)


def _left_out(prepared: Prepared) -> dict[str, str]:
    """What had to go from the prompt."""
    told = {"X-Vllama-Dropped-Messages": prepared.dropped, "X-Vllama-Cut-Tokens": prepared.cut}
    return {name: str(count) for name, count in told.items() if count}


def _not_enforced(keywords: tuple[str, ...]) -> dict[str, str]:
    """What of a schema the answer need not satisfy."""
    return {"X-Vllama-Ignored": ", ".join(keywords)} if keywords else {}


def _ns(seconds: float) -> int:
    return max(1, round(seconds * 1e9))


@asynccontextmanager
async def open_answer(desk: Desk, wish: Wish, call: ChatCall | TextCall) -> AsyncIterator[Answer]:
    """Lease the model's engine, send the call and wait for the first event.

    Raises OptionError, BadRequest, the EngineError family, Busy, ModelUnusable.
    """
    meter, model = desk.meter, wish.model
    heavy = False
    try:
        check_call(call, call.checked, most=LIGHT)
    except Heavy:
        heavy = True
        await desk.run_aside(check_schemas, schemas_of(call))
    if isinstance(call, ChatCall):
        call = for_model(call, model)
    call, ignored = await desk.run_aside(enforceable, call) if heavy else enforceable(call)
    if ignored:
        _log.debug("the grammar of the answer can't enforce %s", ", ".join(ignored))

    async def begin(lease: Lease, stack: AsyncExitStack) -> Answer:
        loaded = time.perf_counter()
        fitting = Fitting(lease, desk, model, call)
        try:
            answer = await _first_event(fitting, meter, loaded, stack)
            answer.headers |= _not_enforced(ignored)
        except EngineRefused as error:
            plain = _in_plain_json(call, error)
            await stack.aclose()
            answer = await _first_event(replace(fitting, call=plain), meter, loaded, stack)
            answer.headers |= _not_enforced((*ignored, "format"))
        answer.headers |= context_headers(call.checked, lease)
        return answer

    async with begun(desk, wish, begin) as answer:
        yield answer


async def _first_event(fitting: Fitting, meter: Meter, loaded: float, stack: AsyncExitStack) -> Answer:
    """The answer with its first event; ``stack`` ends it. Raises EngineRefused, as the engine said it, too."""
    fitting, prepared, events = await _sent(fitting, stack)
    reading = Reading(events, prepared.reader, fitting.lease)
    steps = None
    if prepared.then is not None:
        steps = think_then_answer(aiter(reading), partial(_ask_again, fitting, prepared.then, stack))
    answer = Answer(meter, reading, loaded, _left_out(prepared), steps=steps)
    await answer.wait()
    meter.shortened(prepared.dropped, prepared.cut)
    return answer


async def _sent(fitting: Fitting, stack: AsyncExitStack) -> tuple[Fitting, Prepared, Events]:
    """The answer's events; what is refused for its length or its shape is sent in another one."""
    prepared = await fitting.first()
    while True:
        try:
            events = await stack.enter_async_context(fitting.lease.client.stream(prepared.path, prepared.body))
        except EngineRefused as error:
            fitting, prepared = await fitting.instead(prepared, error)
        else:
            return fitting, prepared, events


async def _ask_again(fitting: Fitting, call: ChatCall, stack: AsyncExitStack, thoughts: str) -> Second:
    await stack.aclose()  # the engine stops with the first request
    prepared, before, thought = await fitting.second(call, thoughts)
    if prepared is None:
        return Second(_full(before + thought), before)
    try:
        events = await stack.enter_async_context(fitting.lease.client.stream(prepared.path, prepared.body))
    except EngineRefused as error:
        return await _ask_again(fitting, _in_plain_json(call, error), stack, thoughts)
    return Second(aiter(Reading(events, prepared.reader, fitting.lease)), before)


def _in_plain_json(call: _Call, error: EngineRefused) -> _Call:
    """What to ask instead where the engine refused the grammar; raises the refusal where it was something else."""
    if not is_refused_form(error) or not isinstance(call.format, Mapping):
        raise refusal(error) from error
    _log.warning("the engine refused the grammar of an answer, which is plain JSON now")
    return replace(call, format="json")


async def _full(tokens: int) -> AsyncIterator[list[Step]]:
    """No answer: the context is full."""
    yield [Ending("length", prompt_tokens=tokens)]
