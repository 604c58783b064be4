"""Which call of a conversation a tool's result answers, where the client doesn't say. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from vllama.translate.pieces import Message


class OpenCalls:
    """The calls without a result so far. However many there are, each costs the same."""

    def __init__(self) -> None:
        self._open: dict[int, str] = {}  # ids by their order
        self._by_name: defaultdict[str, deque[int]] = defaultdict(deque)
        self._by_id: defaultdict[str, list[int]] = defaultdict(list)
        self._in_order: deque[int] = deque()
        self._made = 0

    def add(self, call_id: str, name: str) -> None:
        """A call was made."""
        self._open[self._made] = call_id
        self._by_name[name].append(self._made)
        self._by_id[call_id].append(self._made)
        self._in_order.append(self._made)
        self._made += 1

    def answered(self, message: Message) -> str:
        """The id of the call that a result belongs to: as said, else the first open one of its name, else the first.

        Empty when none is open.
        """
        if message.tool_call_id:
            self._close(self._by_id.pop(message.tool_call_id, ()))
            return message.tool_call_id
        for waiting in (self._by_name.get(message.tool_name), self._in_order):
            while waiting:
                if (call_id := self._open.pop(waiting.popleft(), None)) is not None:
                    return call_id
        return ""

    def _close(self, calls: Iterable[int]) -> None:
        for call in calls:
            self._open.pop(call, None)
