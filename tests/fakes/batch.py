"""The fake scheduler: all running requests get one token a step, as in vLLM's continuous batching."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from tests.fakes.answers import Token
from tests.fakes.script import Script


@dataclass(eq=False)
class Sequence:
    """One request in the engine."""

    tokens: Iterator[Token]
    limit: int
    stops: tuple[str, ...] = ()
    stop_ids: frozenset[int] = frozenset()
    queued: float = field(default_factory=time.perf_counter)
    scheduled: float = 0.0
    first: float = 0.0
    last: float = 0.0
    made: int = 0
    reasoning: int = 0
    called: bool = False
    """It made a tool call."""
    finish: str = ""
    """``stop``, ``length``, ``abort``, ``error``, ``close``; empty while it runs."""
    stop_reason: str | None = None
    _fresh: list[Token] = field(default_factory=list)
    _held: str = ""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self, now: float) -> None:
        """Make one token."""
        token = next(self.tokens, None)
        if token is None:  # the EOS token, which is counted but has no text
            token, self.finish = Token("content", ""), "stop"
        self.made += 1
        self.reasoning += token.kind == "reasoning"
        self.called = self.called or token.kind == "tool"
        self.first = self.first or now
        self.last = now
        if self.stops and token.kind == "content":
            self._match(token)
        if not self.finish and self.made >= self.limit:
            self.finish = "length"
        if self.finish and self._held:
            token.text, self._held = token.text + self._held, ""
        self._fresh.append(token)
        self._wake.set()

    def _match(self, token: Token) -> None:
        """Hold back what may become a stop string, as vLLM does; cut the text at the first match."""
        text = self._held + token.text
        found = [(at, stop) for stop in self.stops if (at := text.find(stop)) >= 0]
        if found:
            at, self.stop_reason = min(found)
            token.text, self._held, self.finish = text[:at], "", "stop"
            return
        hold = max(map(len, self.stops)) - 1
        cut = max(0, len(text) - hold)
        token.text, self._held = text[:cut], text[cut:]

    def end(self, finish: str) -> None:
        """End it from outside."""
        if not self.finish:
            self.finish = finish
            self._wake.set()

    async def arrivals(self) -> AsyncIterator[list[Token]]:
        """Tokens since the last look; ends when the sequence has finished."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._fresh:
                fresh, self._fresh = self._fresh, []
                yield fresh
            if self.finish and not self._fresh:
                return


class Batch:
    """Waiting and running sequences and the loop that steps them."""

    def __init__(self, script: Script, paused: Callable[[], bool], trouble: Callable[[], None]) -> None:
        self.running: list[Sequence] = []
        self.waiting: deque[Sequence] = deque()
        self.finished: dict[str, int] = {}
        self.generation_tokens = 0
        self.prompt_tokens = 0
        self._script = script
        self._paused = paused
        self._trouble = trouble
        self._work = asyncio.Event()
        self._counted_from = 0

    def recount(self) -> None:
        """A new script: ``after_tokens`` counts from here."""
        self._counted_from = self.generation_tokens

    def add(self, sequence: Sequence) -> None:
        """Queue it; first come, first served."""
        self.waiting.append(sequence)
        self._work.set()

    def remove(self, sequence: Sequence) -> None:
        """It has finished, or its client has left."""
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        reason = sequence.finish or "abort"
        self.finished[reason] = self.finished.get(reason, 0) + 1

    def end_all(self, finish: str) -> None:
        """End everything that runs or waits."""
        for sequence in (*self.running, *self.waiting):
            sequence.end(finish)

    async def idle(self) -> None:
        """Wait until nothing runs or waits."""
        while self.running or self.waiting:
            await asyncio.sleep(0.01)

    async def run(self) -> None:
        """Step for ever."""
        due = time.perf_counter()
        while True:
            if not self.running and not self.waiting:
                self._work.clear()
                await self._work.wait()
                due = time.perf_counter()
            interval = 1 / self._script.token_rate if self._script.token_rate else 0.0
            due = max(due + interval, time.perf_counter() - 10 * interval)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if self._paused():
                await asyncio.sleep(0.1)  # a hung engine uses no CPU, and that is how it is told from a busy one
                continue
            self._admit()
            self._step()
            if not any(sequence.first for sequence in self.running):
                await asyncio.sleep(0.0005)  # all are in prefill: do not spin

    def _admit(self) -> None:
        now = time.perf_counter()
        while self.waiting and len(self.running) < self._script.max_num_seqs:
            sequence = self.waiting.popleft()
            sequence.scheduled = now
            self.running.append(sequence)

    def _step(self) -> None:
        now = time.perf_counter()
        script = self._script
        for sequence in [*self.running]:
            if sequence.finish:
                self.running.remove(sequence)
                continue
            if now - sequence.scheduled < script.ttft:
                continue
            if script.trouble and self.generation_tokens - self._counted_from >= script.after_tokens:
                self._trouble()
                if self._paused():
                    return
            if not sequence.finish:
                sequence.step(now)
                self.generation_tokens += 1
            if sequence.finish:
                self.running.remove(sequence)
