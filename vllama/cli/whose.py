"""Says whose models and engine a command looks at, where an ordinary user may have meant those of the service."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from vllama.cli import output
from vllama.config.directories import resolve_directories
from vllama.config.environment import CHECKOUT
from vllama.config.load import DEFAULT_PATH, Loaded

_CHOSEN: Final = frozenset((CHECKOUT, "VLLAMA_STATE_DIR", "VLLAMA_ENGINE_PREFIX", "STATE_DIRECTORY"))
"""Whoever has one of these knows which directories are meant."""


def note_whose(loaded: Loaded, environ: Mapping[str, str], verb: str, *, uid: int | None = None) -> None:
    """``verb``: the command as it is typed after ``vllama``. ``uid``: ours if None."""
    uid = os.geteuid() if uid is None else uid
    if uid == 0 or loaded.path not in {None, DEFAULT_PATH} or environ.keys() & _CHOSEN:
        return
    service = resolve_directories(loaded.config, {}, uid=0)
    if service.state != loaded.state and service.state.is_dir():
        output.note(f"This looks at your own models and engine ({loaded.state}). The service's: sudo vllama {verb}")
