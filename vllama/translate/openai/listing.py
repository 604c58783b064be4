"""OpenAI's embeddings and lists of models. Pure.

Unlike Ollama's, a list without models is ``[]``.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from vllama.jsontext import encode


def embeddings_answer(model: str, vectors: Sequence[Sequence[float]], tokens: int, *, base64: bool) -> bytes:
    """The list of vectors; ``base64``: each as little-endian float32."""
    data = [
        {"object": "embedding", "embedding": _packed(vector) if base64 else vector, "index": index}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return encode({"object": "list", "data": data, "model": model, "usage": usage}) + b"\n"


def _packed(vector: Sequence[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def model_entry(name: str, modified: float, owner: str) -> dict[str, Any]:
    """One model; ``modified`` in Unix seconds, ``owner`` is the namespace."""
    return {"id": name, "object": "model", "created": int(modified), "owned_by": owner}


def model_list(entries: Sequence[dict[str, Any]]) -> bytes:
    """All models."""
    return encode({"object": "list", "data": list(entries)}) + b"\n"


def model_answer(entry: dict[str, Any]) -> bytes:
    """One model."""
    return encode(entry) + b"\n"
