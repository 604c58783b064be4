"""Vectors between vLLM and Ollama. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from vllama.errors import BadRequest, EngineRefused, VllamaError
from vllama.translate.conversation.history import longest_text
from vllama.translate.engine.faults import is_too_long, refusal

EMBED_PATH: Final = "/v1/embeddings"
_TOO_LONG: Final = "the input length exceeds the context length"


def read_input(value: Any) -> list[str]:
    """One text or a list of them; nothing at all loads the model. Raises BadRequest."""
    if value is None or value == "":  # 0 and [] mean something else
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadRequest("invalid input type")
    return texts


Inputs = Sequence[str] | Sequence[Sequence[int]]
"""Texts, or the ids of the tokens of each."""


def embed_body(texts: Inputs, served_name: str, context_length: int, *, truncate: bool) -> dict[str, Any]:
    """For EMBED_PATH. ``truncate`` cuts what is too long at its end.

    Text far beyond the context is cut or refused here already: the engine would turn all of it into tokens first.
    """
    inputs = [text if isinstance(text, str) else list(text) for text in texts]
    tokens = any(isinstance(given, list) for given in inputs)
    longest = context_length if tokens else longest_text(context_length)
    if truncate:
        kept = [given[:longest] for given in inputs]
        return {"model": served_name, "input": kept, **({} if tokens else {"truncate_prompt_tokens": -1})}
    if any(len(given) > longest for given in inputs):
        raise BadRequest(_TOO_LONG)
    return {"model": served_name, "input": inputs}


def read_vectors(answer: Mapping[str, Any]) -> tuple[list[list[float]], int]:
    """The vectors in the order of their inputs, and the tokens of all inputs."""
    rows = sorted(answer["data"], key=lambda row: row["index"])
    vectors = [row["embedding"] for row in rows]
    if any(value is None or not math.isfinite(value) for vector in vectors for value in vector):
        raise BadRequest("embedding contains NaN or Inf values")
    return vectors, (answer.get("usage") or {}).get("prompt_tokens", 0)


def unit(vector: Sequence[float], dimensions: int = 0) -> list[float]:
    """The first ``dimensions`` values (0: all of them) at length 1; a zero vector stays zero."""
    values = list(vector[:dimensions]) if 0 < dimensions < len(vector) else list(vector)
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values] if length else values


def embed_fault(error: EngineRefused) -> VllamaError:
    """vLLM's refusal in Ollama's words where it has some, else in ours."""
    if is_too_long(error):
        return BadRequest(_TOO_LONG)
    if error.http_status == 404:
        return BadRequest("this model does not support embeddings")
    return refusal(error)
