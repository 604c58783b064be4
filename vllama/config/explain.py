"""The whole configuration as it holds, value by value, and as text that can be read back. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from vllama.config.document import KeyPath
from vllama.config.profiles import SHIPPED
from vllama.config.promises import read_share, written_share
from vllama.config.schema import Config, Profile, Settings, read_duration, read_size

_PLAIN: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./@-]*(?::[A-Za-z0-9_./@-]+)*")
_KEY: Final = re.compile(r"[A-Za-z0-9_./-]+(?::[A-Za-z0-9_.-]+)*")


@dataclass(frozen=True, slots=True)
class Row:
    """One value that holds."""

    key: KeyPath
    value: Any
    """As it would be written in the file: ``5m``, ``64MiB``, a list ..."""
    origin: str


def rows(config: Config, directories: Mapping[str, object], origin_of: Callable[[KeyPath], str]) -> Iterator[Row]:
    """Every effective value in the order of the schema.

    ``directories``: the chosen ``state``, ``cache``, ``runtime`` and ``engine_prefix``. ``origin_of``: as
    ``Loaded.origin_of``. Of models and profiles only what is set; the profiles are the shipped ones with the
    configured changes.
    """
    for row in _section(config, (), origin_of):
        section, last = row.key[0], row.key[-1]
        if section == "profiles":
            continue
        if section == "paths" and row.value is None:
            yield Row(row.key, str(directories[last]), row.origin)
        elif row.key == ("engine", "prefix") and row.value is None:
            yield Row(row.key, str(directories["engine_prefix"]), row.origin)
        else:
            yield row
    for size, shipped in SHIPPED.items():
        own = config.profiles.get(size, Profile())
        yield from _profile(("profiles", size), shipped, own, origin_of)
        for gpu in sorted(shipped.gpu.keys() | own.gpu.keys(), key=lambda name: (len(name), name)):
            overlay, changes = shipped.gpu.get(gpu, Settings()), own.gpu.get(gpu, Settings())
            yield from _profile(("profiles", size, "gpu", gpu), overlay, changes, origin_of)


def as_yaml(found: Iterator[Row], *, origins: bool) -> Iterator[str]:
    """The rows as lines of a configuration file; with ``origins`` each says in a comment where it comes from."""
    open_sections: KeyPath = ()
    for row in found:
        section = row.key[:-1]
        shared = 0
        while shared < min(len(section), len(open_sections)) and section[shared] == open_sections[shared]:
            shared += 1
        for depth in range(shared, len(section)):
            yield f"{'  ' * depth}{_key(section[depth])}:"
        open_sections = section
        text = f"{'  ' * len(section)}{_key(row.key[-1])}: {_written(row.value)}"
        yield f"{text}  # {row.origin}" if origins else text


def as_tree(found: Iterator[Row]) -> dict[str, Any]:
    """The rows as nested mappings."""
    tree: dict[str, Any] = {}
    for row in found:
        section = tree
        for part in row.key[:-1]:
            section = section.setdefault(part, {})
        section[row.key[-1]] = row.value
    return tree


def _section(section: BaseModel, path: KeyPath, origin_of: Callable[[KeyPath], str]) -> Iterator[Row]:
    """All values of a section; of models, their settings and tuned ones only those that are set."""
    sparse = path[:1] in {("models",), ("tuned",)}
    for key, info in type(section).model_fields.items():
        value, below = getattr(section, key), (*path, key)
        if isinstance(value, BaseModel):
            yield from _section(value, below, origin_of)
        elif isinstance(value, Mapping) and value and all(isinstance(item, BaseModel) for item in value.values()):
            for name, item in value.items():
                yield from _section(item, (*below, name), origin_of)
        elif not sparse or (key in section.model_fields_set and value is not None):
            yield Row(below, spelled(value, info), origin_of(below))


def _profile(path: KeyPath, shipped: Settings, own: Settings, origin_of: Callable[[KeyPath], str]) -> Iterator[Row]:
    for key, info in Settings.model_fields.items():
        changed = key in own.model_fields_set and getattr(own, key) is not None
        value = getattr(own if changed else shipped, key)
        if changed or (key in shipped.model_fields_set and value is not None):
            yield Row((*path, key), spelled(value, info), origin_of((*path, key)) if changed else "default")


def spelled(value: Any, info: FieldInfo) -> Any:
    """A value as the file would write it."""
    readers = {getattr(note, "func", None) for note in _notes(info) if isinstance(note, BeforeValidator)}
    if read_duration in readers and isinstance(value, float):
        return duration(value)
    if read_size in readers and isinstance(value, int):
        return size(value)
    if read_share in readers and isinstance(value, float):
        return written_share(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _notes(info: FieldInfo) -> Iterator[Any]:
    """The annotations of a field, inside ``X | None`` too."""
    yield from info.metadata
    for choice in getattr(info.annotation, "__args__", ()):
        yield from getattr(choice, "__metadata__", ())


def duration(seconds: float) -> str:
    """``300.0`` as ``5m``; always reads back as the same number."""
    if math.isinf(seconds):
        return "forever"
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s" if seconds.is_integer() else repr(seconds)


def size(count: int) -> str | int:
    """``67108864`` as ``64MiB``; always reads back as the same number."""
    for unit, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count and count % length == 0:
            return f"{count // length}{unit}"
    return count


def _key(text: str) -> str:
    return text if _KEY.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _written(value: Any) -> str:
    """YAML for one value: plain where that reads back as the same text, else JSON, which YAML can read."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
