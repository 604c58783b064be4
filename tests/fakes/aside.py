"""``InPlace``: the port of ``vllama.aside`` without processes, for tests of the HTTP layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class InPlace:
    """Runs jobs where they are asked for, and remembers what they were."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        """The names of the functions, in order."""

    async def run(self, client: str, job: Callable[..., T], *args: Any) -> T:
        """The port's ``run``."""
        self.jobs.append(job.__name__)
        return job(*args)
