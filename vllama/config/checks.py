"""References between keys, which no single key's type can get right. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vllama.config.document import KeyPath
from vllama.models.names import parse_name


def check_references(values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Key path and sentence of every finding in raw values, whatever else is wrong with them."""
    models, preload = values.get("models"), values.get("preload")
    seen: dict[str, str] = {}
    for text in models if isinstance(models, Mapping) else ():
        if (name := parse_name(text)) is None:
            continue  # told by its type
        if name.key in seen:
            yield ("models", text), f"is the same model as {seen[name.key]!r}"
        seen.setdefault(name.key, text)
    for number, text in enumerate(preload if isinstance(preload, list) else ()):
        if isinstance(text, str) and parse_name(text) is None:  # those that were pulled are models, too
            yield ("preload", str(number)), f"{text!r} is no model name"
