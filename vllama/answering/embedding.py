"""Gets the vectors of texts from the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import orjson

from vllama.answering.desk import Desk
from vllama.answering.leasing import answered
from vllama.errors import EngineRefused
from vllama.supervisor.port import Lease, Wish
from vllama.translate.bounds import check_inputs
from vllama.translate.engine.embeddings import EMBED_PATH, Inputs, embed_body, embed_fault, read_vectors, unit

T = TypeVar("T")
_TEXT: Final = 20
"""Bytes of a number as the engine writes it."""
_LIGHT: Final = 1 << 20
"""Bytes of numbers that are read in some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors, and how many tokens the texts had."""

    vectors: list[list[float]]
    """As the engine gives them."""
    tokens: int
    """Of all texts."""
    loaded: float
    """When the model was ready (``perf_counter`` seconds)."""


async def embed(desk: Desk, wish: Wish, texts: Inputs, *, truncate: bool = True) -> Embedded:
    """A vector for each text; without texts the model is only loaded.

    Raises BadRequest, the EngineError family, Busy, ModelUnusable.
    """
    check_inputs(texts)

    async def ask(lease: Lease) -> tuple[bytes, float]:
        loaded = time.perf_counter()
        if not texts:
            return b"", loaded
        body = embed_body(texts, lease.served_name, lease.max_model_len, truncate=truncate)
        return await lease.client.call(EMBED_PATH, body), loaded

    try:
        answer, loaded = await answered(desk, wish, ask)
    except EngineRefused as error:
        raise embed_fault(error) from error
    if not texts:
        return Embedded([], 0, loaded)
    vectors, tokens = await _in_a_thread(lambda: read_vectors(orjson.loads(answer)), len(answer))
    desk.meter.usage(tokens, 0)
    return Embedded(vectors, tokens, loaded)


async def units(vectors: Sequence[Sequence[float]], dimensions: int) -> list[list[float]]:
    """All vectors, each scaled to length 1."""
    numbers = sum(map(len, vectors))
    return await _in_a_thread(lambda: [unit(vector, dimensions) for vector in vectors], _TEXT * numbers)


async def _in_a_thread(work: Callable[[], T], size: int) -> T:
    """Do what reads this many bytes of numbers: in a thread where it takes long."""
    return work() if size <= _LIGHT else await asyncio.to_thread(work)
