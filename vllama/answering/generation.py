"""The one path from a call to an answer, for all APIs: lease, request, stream, pieces.

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

from vllama.answering.answer import Answer
from vllama.answering.desk import Desk
from vllama.answering.fitting import Fitting
from vllama.answering.leasing import begun, context_headers
from vllama.answering.prefilling import prefilled
from vllama.answering.prepared import Prepared, Preparing
from vllama.answering.reading import Reading
from vllama.answering.two_passes import Second, think_then_answer
from vllama.engine.client import Events
from vllama.errors import EngineRefused
from vllama.observe.meter import Meter
from vllama.supervisor.port import Lease, Wish
from vllama.translate.bounds import LIGHT, Heavy, check_call, check_schemas, schemas_of
from vllama.translate.engine.faults import is_refused_form, refusal
from vllama.translate.engine.requests import for_model
from vllama.translate.pieces import ChatCall, Ending, Step, TextCall
from vllama.translate.schemas.grammars import enforceable

_log = logging.getLogger(__name__)
_Call = TypeVar("_Call", bound=ChatCall | TextCall)


def _left_out(prepared: Prepared) -> dict[str, str]:
    """What was left out of the prompt."""
    counts = {"X-Vllama-Dropped-Messages": prepared.dropped, "X-Vllama-Cut-Tokens": prepared.cut}
    return {name: str(count) for name, count in counts.items() if count}


def _not_enforced(keywords: tuple[str, ...]) -> dict[str, str]:
    """What of a schema the answer need not satisfy."""
    return {"X-Vllama-Ignored": ", ".join(keywords)} if keywords else {}


@asynccontextmanager
async def open_answer(desk: Desk, wish: Wish, call: ChatCall | TextCall) -> AsyncIterator[Answer]:
    """Lease the model's engine, send the call and wait for the first event.

    Raises BadRequest, the EngineError family, Busy, ModelUnusable.
    """
    meter, model = desk.meter, wish.model
    heavy = False
    try:
        check_call(call, most=LIGHT)
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
        fitting = Fitting(Preparing(lease, desk, model), call)
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
    reading = Reading(events, prepared.reader, fitting.preparing.lease)
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
            events = await stack.enter_async_context(
                fitting.preparing.lease.client.stream(prepared.path, prepared.body)
            )
        except EngineRefused as error:
            fitting, prepared = await fitting.instead(prepared, error)
        else:
            return fitting, prepared, events


async def _ask_again(fitting: Fitting, call: ChatCall, stack: AsyncExitStack, thoughts: str) -> Second:
    await stack.aclose()  # the engine stops with the first request
    prepared, before, thought = await prefilled(fitting.preparing, call, thoughts)
    if prepared is None:
        return Second(_full(before + thought), before)
    try:
        events = await stack.enter_async_context(fitting.preparing.lease.client.stream(prepared.path, prepared.body))
    except EngineRefused as error:
        return await _ask_again(fitting, _in_plain_json(call, error), stack, thoughts)
    return Second(aiter(Reading(events, prepared.reader, fitting.preparing.lease)), before)


def _in_plain_json(call: _Call, error: EngineRefused) -> _Call:
    """What to ask instead where the engine refused the grammar; raises the refusal where it was something else."""
    if not is_refused_form(error) or not isinstance(call.format, Mapping):
        raise refusal(error) from error
    _log.warning("the engine refused the grammar of an answer, which is plain JSON now")
    return replace(call, format="json")


async def _full(tokens: int) -> AsyncIterator[list[Step]]:
    """No answer: the context is full."""
    yield [Ending("length", prompt_tokens=tokens)]
