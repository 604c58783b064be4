"""LoRA adapters in one running engine: each is loaded when a request first needs it, once."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from vllama.engine.client import Client
from vllama.errors import EngineRefused, LoadFailed
from vllama.models.model import Adapter

_LOAD_SECONDS = 120.0


class Adapters:
    """The adapters that one run of an engine has loaded."""

    def __init__(self) -> None:
        self._loaded: set[str] = set()
        self._loading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def load(self, client: Client, adapter: Adapter) -> str:
        """Make sure that the engine has ``adapter``; returns the name to send as ``model``.

        Raises LoadFailed when the engine refuses it, EngineGone.
        """
        name = adapter.path.name
        async with self._loading[name]:
            if name not in self._loaded:
                body = {"lora_name": name, "lora_path": str(adapter.path)}
                try:
                    await client.call("/v1/load_lora_adapter", body, timeout=_LOAD_SECONDS)
                except EngineRefused as error:
                    hint = "It must have been trained on this base, with modules that vLLM can adapt."
                    raise LoadFailed("the adapter can't be loaded", hint=hint) from error
                self._loaded.add(name)
        return name
