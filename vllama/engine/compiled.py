"""Notes which compiled code is in the cache: one note for each start that made some.

The notes are ``compiled/<code>.json`` in the folder where an engine keeps its code (``engine.kept_code``). vLLM looks
for the code of a start under a hash that it only knows once it runs. So the notes have names of their own, made of
everything in a start that changes the code. A note without its code counts for nothing: the cache may be deleted at any
time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson

from vllama import files

_LOG = logging.getLogger("vllama.engine")
_NO_MATTER: Final = frozenset(
    {"--uds", "--served-model-name", "--kv-cache-memory-bytes", "--gpu-memory-utilization", "--shutdown-timeout"}
)
"""Flags whose values leave the code as it is (vLLM's ``compute_hash`` of its configuration)."""
_PREFIXES: Final = ("VLLM_", "TORCH", "OMP_", "KMP_", "CUDA_", "HIP_")
_PLACES: Final = frozenset({"VLLM_RPC_BASE_PATH", "VLLM_CACHE_ROOT", "VLLM_CONFIG_ROOT", "TORCHINDUCTOR_CACHE_DIR"})
_SMALL: Final = 1 << 16


def code_name(digest: str, version: str, argv: Iterable[str], env: Mapping[str, str]) -> str:
    """Names the code that this start of vLLM ``version`` compiles for the model whose files are ``digest``."""
    parts, skip = [digest, version], False
    for argument in argv:
        if skip or argument in _NO_MATTER:
            skip = not skip
        else:
            parts.append(argument)
    parts += sorted(f"{key}={value}" for key, value in env.items() if key.startswith(_PREFIXES) and key not in _PLACES)
    return sha256("\0".join(parts).encode()).hexdigest()[:32]


class CompiledCode:
    """Owner of the notes. Its methods read and write files: call them in a thread."""

    def __init__(self, keeps: Path) -> None:
        """``keeps``: ``kept_code.folder_of`` the engine."""
        self._folder = keeps / "compiled"

    def has(self, code: str) -> bool:
        """Whether the code is in the cache."""
        with suppress(OSError, orjson.JSONDecodeError, KeyError, TypeError):
            note = orjson.loads(files.read(self._place(code), most=_SMALL))
            return Path(note["artifact"]).is_file()
        return False

    def count(self) -> int:
        """The number of notes."""
        with suppress(OSError):
            return sum(self.has(note.stem) for note in self._folder.glob("*.json"))
        return 0

    def keep(self, code: str, artifact: str) -> None:
        """Note that a start has left ``code``. If the note can't be written, a later start compiles again."""
        try:
            files.replace(self._place(code), orjson.dumps({"artifact": artifact}))
        except OSError as error:
            _LOG.warning("can't note that compiled code is in the cache: %s", error)

    def _place(self, code: str) -> Path:
        return self._folder / f"{code}.json"
