"""The steps of one of the engine's answers: iterate over them, or let them pour to the client."""

from __future__ import annotations

from collections.abc import AsyncIterator

from vllama.engine.client import Events, ShortCut
from vllama.engine.wire import Accept
from vllama.errors import EngineGone
from vllama.supervisor.port import Lease
from vllama.translate.engine.stream import ChatReader, TextReader
from vllama.translate.pieces import Step


class Reading:
    """Raises what the reader finds in the events; an engine that breaks off is reported to the supervisor first."""

    def __init__(self, events: Events, reader: ChatReader | TextReader, lease: Lease) -> None:
        self._events = events
        self._reader = reader
        self._lease = lease
        self.extract_text = reader.extract_text
        """If a read contains exactly one text delta, returns it as JSON; otherwise nothing."""

    async def __aiter__(self) -> AsyncIterator[list[Step]]:
        reader = self._reader
        try:
            async for payloads in self._events:
                if steps := reader.feed(payloads):
                    yield steps
                if reader.failure is not None:
                    raise reader.failure
        except EngineGone:
            await self._lease.suspect()
            raise

    async def pour(self, accept: Accept[list[Step]], short: ShortCut) -> None:
        """The fast path, as ``Events.pour``; to be called between two steps of the iteration."""
        reader = self._reader
        if reader.failure is not None:  # behind the steps that were just given
            raise reader.failure

        def take(payloads: list[bytes]) -> bool:
            steps = reader.feed(payloads)
            more = accept(steps) if steps else True
            if reader.failure is not None:
                raise reader.failure
            return more

        try:
            await self._events.pour(take, short)
        except EngineGone:
            await self._lease.suspect()
            raise
