"""What differs between two configurations. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vllama.config.schema import Config


def changed_keys(before: Config, after: Config) -> tuple[str, ...]:
    """Dotted paths of every key whose value differs: ``server.port``, ``models.qwen3.settings.max_num_seqs``."""
    return tuple(_differences(before.model_dump(), after.model_dump(), ""))


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif before != after:
        yield path
