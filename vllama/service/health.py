"""The doctor's checks of the running service, for ``/vllama/health``."""

from __future__ import annotations

import asyncio
import getpass
import time
from typing import Final

from vllama.config.address import Address
from vllama.config.load import Loaded
from vllama.disk import Reads
from vllama.models.store import ModelStore
from vllama.service.checks import Finding, examine
from vllama.service.examination import look
from vllama.service.facts import PortFact

_FRESH: Final = 15.0
"""Seconds for which findings are given again: a page may ask often, and looking takes a moment of the CPU."""
_PATIENCE: Final = 30.0


class Health:
    """Under one configuration."""

    def __init__(self, loaded: Loaded, store: ModelStore) -> None:
        self._loaded = loaded
        self._store = store
        self._reads = Reads()
        self._lock = asyncio.Lock()
        self._found: list[Finding] = []
        self._until = 0.0
        self.engine = ""
        """Version of the installed engine; empty before the first look and without one."""

    async def findings(self) -> list[Finding]:
        """In the order in which a person would fix them; at most some seconds old. Their texts may hold paths."""
        async with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._found = await self._reads.done("machine", self._examine, _PATIENCE)
                except TimeoutError:
                    text = f"this machine could not be looked at within {_PATIENCE:.0f} s: a disk may not answer"
                    self._found = [Finding("machine", "bad", text)]
                self._until = time.monotonic() + _FRESH
            return self._found

    def _examine(self) -> list[Finding]:
        loaded = self._loaded
        server = loaded.config.server
        port = PortFact(Address(host=server.host, port=server.port).authority, "vllama")
        facts = look(loaded, getpass.getuser(), port, str(loaded.path or ""), store=self._store)
        self.engine = facts.engine.version
        return examine(facts)
