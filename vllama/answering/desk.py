"""What answering a request needs apart from the request: engines, a place for slow work, measurements, the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from vllama.aside.port import Aside
from vllama.caller import Caller
from vllama.observe.meter import Meter
from vllama.supervisor.port import Engines

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """Made for each request by ``http.front``."""

    engines: Engines
    aside: Aside
    meter: Meter
    """Measures this request."""
    caller: Caller

    async def run_aside(self, job: Callable[..., T], *args: Any) -> T:
        """``Aside.run`` on behalf of this client."""
        return await self.aside.run(self.caller.address, job, *args)
