"""Which files of a repository or directory make up a model for vLLM. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

ADAPTER_FILES: Final = ("adapter_config.json", "adapter_model.safetensors")
"""Of a LoRA adapter as PEFT saves it."""
_SMALL_SUFFIXES: Final = {".json", ".jinja", ".model", ".txt", ".tiktoken"}
_OTHER_WEIGHTS: Final = ("consolidated", "adapter_")


def needed_files(names: Iterable[str]) -> tuple[str, ...]:
    """Which files of a repository a model consists of; no weights among them means that it can't be served."""
    chosen = []
    for name in names:
        path = PurePosixPath(name)
        if len(path.parts) > 2 or path.name.startswith("."):
            continue
        nested = len(path.parts) == 2
        if path.suffix == ".safetensors":
            # the directories of sentence-transformers (2_Dense) are the only nested weights
            if (not nested or path.parts[0][:1].isdigit()) and not path.name.startswith(_OTHER_WEIGHTS):
                chosen.append(name)
        elif (
            path.suffix in _SMALL_SUFFIXES
            and (not nested or path.parts[0][:1].isdigit())
            and not path.name.endswith((".bin.index.json", ".h5.json"))
        ) or path.name.upper().split(".")[0] in {"LICENSE", "LICENCE"}:
            chosen.append(name)
    return tuple(chosen)
