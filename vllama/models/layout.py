"""Which files of a repository or directory make up a model for vLLM. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

ADAPTER_FILES: Final = ("adapter_config.json", "adapter_model.safetensors")
"""Of a LoRA adapter as PEFT saves it."""
INDEX: Final = "model.safetensors.index.json"
"""It names the shards of the weights."""
TEMPLATES: Final = "additional_chat_templates"
"""The folder of named chat templates."""
_WHOLE: Final = "model.safetensors"
_SMALL_SUFFIXES: Final = {".json", ".jinja", ".model", ".txt", ".tiktoken"}
_OTHER_FRAMEWORKS: Final = (".bin.index.json", ".h5.json", ".h5.index.json", ".msgpack.index.json")
_MISTRAL: Final = "consolidated"
_NEVER: Final = "adapter_"
# Without an index, these files repeat the weights of model.safetensors: its shards, and copies in another precision.
_COPY: Final = re.compile(r".*-\d{5}-of-\d{5}\.safetensors|model\.[A-Za-z0-9_-]+\.safetensors")


def weight_files(names: Iterable[str], index: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Which safetensors files hold the weights, each number once: repositories carry the same weights several times.

    ``names``: files of the directory itself. ``index``: what its ``INDEX`` holds, where there is one; that decides, as
    it does for vLLM. Raises ValueError for an index that names anything but a file of the same directory.
    """
    shards = index.get("weight_map") if index else None
    if isinstance(shards, Mapping):
        listed = {str(name) for name in shards.values()}
        if strange := sorted(name for name in listed if not is_plain(name) or not name.endswith(".safetensors")):
            raise ValueError(f"names {strange[0][:80]!r}, which is not a weights file of the same directory")
        return tuple(sorted(listed))
    found = {name for name in names if name.endswith(".safetensors") and not name.startswith(_NEVER)}
    usual = {name for name in found if not name.startswith(_MISTRAL)}
    if _WHOLE in usual:
        usual = {name for name in usual if not _COPY.fullmatch(name)}
    return tuple(sorted(usual or found))


def needed_files(names: Iterable[str], index: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Which files of a repository a model consists of; no weights among them means that it can't be served.

    ``index``: what its ``INDEX`` holds, where there is one. Raises ValueError for a wrong index.
    """
    names = tuple(names)
    weights = {*weight_files((name for name in names if is_plain(name)), index)}
    return tuple(name for name in names if name in weights or _is_needed_next_to(name))


def is_plain(name: str) -> bool:
    """Whether a name is that of a file in the directory itself."""
    return name not in {"", ".", ".."} and not any(mark in name for mark in "/\\\0")


def _is_needed_next_to(name: str) -> bool:
    """Everything but the weights of the directory itself."""
    path = PurePosixPath(name)
    if len(path.parts) > 2 or path.is_absolute() or ".." in path.parts or path.name.startswith("."):
        return False
    # the only folders of a model: modules of sentence-transformers (1_Pooling, 2_Dense), and chat templates
    folder = path.parts[0] if len(path.parts) == 2 else ""
    if folder == TEMPLATES:
        return path.suffix == ".jinja"
    if folder and not folder[:1].isdigit():
        return False
    if path.name.upper().split(".")[0] in {"LICENSE", "LICENCE"}:
        return True
    if path.suffix == ".safetensors":
        return bool(folder)
    return path.suffix in _SMALL_SUFFIXES and not path.name.endswith(_OTHER_FRAMEWORKS)
