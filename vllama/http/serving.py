"""Serves a call to a model, for every API: from the checked request to the written answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from vllama.answering.choices import open_choices
from vllama.answering.debugging import rendered_prompt
from vllama.answering.desk import Desk
from vllama.answering.leasing import load
from vllama.errors import VllamaError
from vllama.http.faults import refusal_response
from vllama.http.front import desk_of
from vllama.http.keeping import granted
from vllama.http.streams import StreamWriter, write_stream
from vllama.models.model import Model
from vllama.supervisor.port import Wish
from vllama.translate.options import DEFAULTS, Options
from vllama.translate.pieces import ChatCall, TextCall
from vllama.translate.whole import Whole


@dataclass(frozen=True, slots=True)
class Order:
    """One checked request: a model and its calls."""

    model: Model
    calls: tuple[ChatCall | TextCall, ...]
    """None: the model is only loaded."""
    stream: bool
    count: int = 1
    """Answers to each call."""
    parallel_calls: bool = True
    """False: of each answer only the first call of a tool is written."""
    render_only: bool = False
    """The rendered prompt is the answer."""
    keep_alive: float | None = None
    """As in ``Wish``, before ``keeping`` has looked at it."""
    options: Options = DEFAULTS
    """Where the model is only loaded."""


class Reply(Protocol):
    """How an API writes the results of one request."""

    @property
    def whole_type(self) -> str:
        """The media type of an answer in one piece."""
        ...

    @property
    def stream_type(self) -> str:
        """The media type of a stream."""
        ...

    def writers(self) -> Sequence[StreamWriter]:
        """What writes the stream: one for each answer."""
        ...

    def whole(self, answers: Sequence[Whole]) -> bytes:
        """All answers in one piece."""
        ...

    def loaded(self) -> bytes:
        """What says that the model is loaded: a stream where the request wanted one."""
        ...

    def rendered(self, info: Mapping[str, Any]) -> bytes:
        """The rendered prompt in the place of an answer."""
        ...


async def serve_call(request: web.Request, order: Order, reply: Reply) -> web.StreamResponse:
    """Answer. What fails before the first event is a status; after it, the end of the stream says so."""
    desk = desk_of(request, order.model)
    wish = Wish(order.model, await granted(request, order.model, order.keep_alive))
    whole = {"Content-Type": reply.whole_type}
    if not order.calls:
        return await _loaded(desk, wish, order, reply)
    if order.render_only and isinstance(call := order.calls[0], ChatCall):
        return web.Response(body=reply.rendered(await rendered_prompt(desk, order.model, call)), headers=whole)
    try:
        async with open_choices(
            desk, wish, *order.calls, count=order.count, parallel_calls=order.parallel_calls
        ) as choices:
            if order.stream:
                return await write_stream(request, choices, reply.writers(), reply.stream_type)
            return web.Response(body=reply.whole(await choices.gather()), headers={**whole, **choices.headers})
    except VllamaError as error:  # raised before a stream began: what comes later, the stream says itself
        return refusal_response(request.path, error, streamed=order.stream)


async def _loaded(desk: Desk, wish: Wish, order: Order, reply: Reply) -> web.Response:
    headers = await load(desk, wish, order.options)
    kind = reply.stream_type if order.stream else reply.whole_type
    return web.Response(body=reply.loaded(), headers={"Content-Type": kind, **headers})
