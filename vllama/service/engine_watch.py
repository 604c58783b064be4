"""Says what is missing as long as no engine is installed; without one we serve all that needs none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from vllama.config.load import Loaded
from vllama.disk import Reads
from vllama.errors import EngineNotInstalled
from vllama.install.engines import known_version, locate
from vllama.models.model import Model
from vllama.observe.news import Notice
from vllama.service.preload import preload
from vllama.service.running import Service
from vllama.supervisor.tasks import outcome

_LOG: Final = logging.getLogger("vllama")
_PATIENCE: Final = 60.0
"""Seconds for a look at the installed engine, which is asked what it can do when it is new."""
_LOOK_AGAIN: Final = 5.0
"""Seconds between two looks at the installed engine: one small file."""


class EngineWatch:
    """Looks whether the configured engine is installed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._reads = Reads()
        self._problem = ""

    async def look(self) -> bool:
        """Whether an engine was installed since the last look. Changes are logged and published."""
        loaded, before = self._service.loaded, self._problem
        self._problem, version = "", ""
        try:
            version = await self._reads.done("engine", partial(_version, loaded), _PATIENCE)
        except EngineNotInstalled as error:
            self._problem = f"{error.detail}. {error.advice}"
        except TimeoutError:
            self._problem = "the engine's directory can't be read: the file system does not answer"
        self._service.lookout.engine_version = version
        if self._problem != before:
            self._service.feed.publish(Notice("engine", self._problem))
            if self._problem:
                _LOG.warning("%s", self._problem)
            else:
                _LOG.info("the engine is installed now")
        return bool(before) and not self._problem

    async def preload_later(self, named: Sequence[Model], stop: asyncio.Event) -> None:
        """Load what should have been loaded at the start, once an engine is installed: no restart is needed."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            if await outcome(self.look()) is True:
                await outcome(asyncio.to_thread(self._service.store.refresh))  # it may know other models
                await outcome(preload(self._service, named, stop))


def _version(loaded: Loaded) -> str:
    """Of the configured engine. Raises EngineNotInstalled."""
    python = loaded.config.engine.python
    if python is not None:  # it takes long to ask; the first load does that
        return known_version(python, loaded.engine_prefix, probes=loaded.cache)
    return locate(None, loaded.engine_prefix, probes=loaded.cache).version
