"""The interface for work that may take long, and its errors. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from vllama.errors import BadRequest

T = TypeVar("T")


class TookTooLong(BadRequest):
    """The work was stopped before it was done."""

    code = "took_too_long"


class Aside(Protocol):
    """Runs pure functions outside the event loop; ``aside.pool.WorkerPool`` in the daemon."""

    async def run(self, client: str, job: Callable[..., T], *args: Any) -> T:
        """What ``job`` makes of ``args``. It is a function of a module, and all of them are values.

        ``client``: on whose behalf; one client never has all workers. Raises what ``job`` raises (if it is one of
        ours), TookTooLong, and Busy when too much waits already.
        """
        ...
