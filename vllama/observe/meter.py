"""One request's measurements, from its head to the end of its answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from vllama.caller import NOBODY, Caller
from vllama.observe.latency import Series
from vllama.observe.machine_time import MachineTime
from vllama.observe.spent import Spent
from vllama.observe.trace import Trace

Latencies: TypeAlias = Callable[[str], tuple[Series, Series]]
"""Time to first token and inter-token latency of a model."""


class Meter:
    """Set ``model`` once it is resolved, call ``tokens`` at each read of the stream. ``observe.books`` makes it."""

    def __init__(
        self,
        route: str,
        request_id: str,
        latencies: Latencies,
        machine: MachineTime,
        ended: Callable[[Meter, Spent], None],
    ) -> None:
        """``route``: the pattern that the request matched, never a path with names in it."""
        self.route = route
        self.request_id = request_id
        self.at = time.time()
        """Unix seconds of the request's head."""
        self.began = time.perf_counter()
        self.trace: Trace | None = None
        """Its place in a trace; None where it is in none."""
        self.caller: Caller = NOBODY
        """Set by ``http.permits``."""
        self.engine = ""
        """Key of the engine that answers, once it is leased."""
        self.waiting: float | None = None
        """Seconds until an engine was ready for it."""
        self.first_token: float | None = None
        """Seconds until the first token."""
        self.prompt_tokens = self.generated_tokens = self.cached_tokens = 0
        self.reads = 0
        """How often tokens came: nearly the tokens of the answer so far."""
        self.broken = False
        """The answer failed after it had begun."""
        self.cancelled = False
        """Somebody who manages the service ended it."""
        self.task: asyncio.Task[Any] | None = None
        """Answers the request; set by ``http.middleware``."""
        self._latencies = latencies
        self._machine = machine
        self._share = 0.0
        self._ended = ended
        self._model = ""
        self._dropped_messages = self._cut_tokens = 0
        self._last = 0.0
        self._first: Series | None = None
        self._between: Series | None = None

    @property
    def model(self) -> str:
        """Short name of a model that exists; empty while unknown, so that clients can't invent label values."""
        return self._model

    @model.setter
    def model(self, name: str) -> None:
        self._model = name
        self._first, self._between = self._latencies(name)

    def leased(self, engine: str) -> None:
        """This engine is ready and works for the request from now on."""
        self.engine = engine
        if self.waiting is None:
            self.waiting = time.perf_counter() - self.began
            self._share = self._machine.begin()

    @property
    def headers(self) -> dict[str, str]:
        """What the engine and the client are told of it: its id, and its place in a trace."""
        named = {"X-Request-Id": self.request_id} if self.request_id else {}
        return named if self.trace is None else named | self.trace.headers

    def tokens(self) -> None:
        """A read from the engine brought tokens: the first is the TTFT, each later one an inter-token latency."""
        now = time.perf_counter()
        self.reads += 1
        if self._last:
            if self._between is not None:
                self._between.observe(now - self._last)
        else:
            self.first_token = now - self.began
            if self._first is not None:
                self._first.observe(self.first_token)
        self._last = now

    def usage(self, prompt_tokens: int, generated_tokens: int, cached_tokens: int | None = None) -> None:
        """The engine's own count for one answer; several answers to the request add up."""
        self.prompt_tokens += prompt_tokens
        self.generated_tokens += generated_tokens
        self.cached_tokens += cached_tokens or 0

    def shortened(self, dropped_messages: int, cut_tokens: int) -> None:
        """What was left out of one answer's prompt to make it fit; several answers add up."""
        self._dropped_messages += dropped_messages
        self._cut_tokens += cut_tokens

    def cancel(self) -> None:
        """End the answer; ``http`` tells the client."""
        if self.task is not None and not self.cancelled:
            self.cancelled = True
            self.task.cancel()

    def took_notice(self) -> bool:
        """Whether a CancelledError of now is ours (``cancel``); then it is over, and the client can be answered."""
        if not self.cancelled or self.task is None:
            return False
        self.task.uncancel()
        return True

    def end(self, status: int) -> None:
        """The answer has ended, with this HTTP status (499 when the client left before its end)."""
        self._ended(self, self._spent(status))

    def _spent(self, status: int) -> Spent:
        return Spent(
            self.caller,
            self.route,
            self._model,
            status,
            seconds=time.perf_counter() - self.began,
            request_id=self.request_id,
            began=self.at,
            waiting=self.waiting,
            machine_seconds=None if self.waiting is None else self._machine.end(self._share),
            first_token=self.first_token,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            generated_tokens=self.generated_tokens,
            dropped_messages=self._dropped_messages,
            cut_tokens=self._cut_tokens,
            broken=self.broken,
            cancelled=self.cancelled,
            engine=self.engine,
            trace=self.trace,
            reads=self.reads,
        )
