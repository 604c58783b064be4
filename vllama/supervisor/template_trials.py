"""Finds out, once for each run, which conversations an engine's chat template accepts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from typing import Final

import orjson

from vllama.engine.client import Client
from vllama.errors import EngineGone, EngineRefused
from vllama.models.model import Model
from vllama.translate.conversation.template_shapes import NATURAL, TemplateShapes
from vllama.translate.engine.template_trials import trials, worth_trying

_LOG = logging.getLogger("vllama.supervisor")
_SECONDS: Final = 10.0  # for one small rendering


class TemplateTrials:
    """The results of one run of an engine."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], TemplateShapes] = {}
        self._finding: defaultdict[tuple[str, ...], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def shapes(self, client: Client, served_name: str, model: Model) -> TemplateShapes:
        """Of the template, as ``model`` uses it; never raises: a template that can't be asked takes everything."""
        if not worth_trying(model):
            return NATURAL
        key = model.facts.capabilities  # models with one engine may differ in these
        async with self._finding[key]:
            if key not in self._found:
                try:
                    self._found[key] = await _find(client, served_name, model)
                except EngineGone:
                    return NATURAL
        return self._found[key]


async def _find(client: Client, served_name: str, model: Model) -> TemplateShapes:
    began = time.monotonic()
    asking = trials(model)
    count = 0
    try:
        prompt = next(asking)
        while True:
            count += 1
            prompt = asking.send(await _rendered(client, {"model": served_name, **prompt}))
    except StopIteration as end:
        found: TemplateShapes = end.value
    _LOG.debug("%s: %d trials of its chat template took %.3f s", model.name.short, count, time.monotonic() - began)
    if found.reported:
        _LOG.info("%s: conversations are adapted to its chat template: %s", model.name.short, found.reported)
    return found


async def _rendered(client: Client, body: dict[str, object]) -> str | None:
    """The text of the tokens, or None when the template refused."""
    try:
        answer = orjson.loads(await client.call("/tokenize", body, timeout=_SECONDS))
    except EngineRefused:
        return None
    return "".join(answer.get("token_strs") or ())
