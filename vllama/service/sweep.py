"""Removes what an earlier run left behind: processes, downloads that were not finished, old compiled code."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Final

from vllama.config.load import Loaded
from vllama.engine import kept_code
from vllama.engine.leftovers import sweep
from vllama.models.store import ModelStore

_LOG: Final = logging.getLogger("vllama")


def sweep_all(loaded: Loaded, store: ModelStore) -> None:
    """Call it in a thread, and only as the owner of these directories."""
    _end_processes(loaded.runtime)
    store.sweep()
    kept_code.sweep(loaded.cache, time.time())


def _end_processes(runtime: Path) -> None:
    for pid_file in runtime.glob("*.pid"):
        try:
            ended = sweep(pid_file)
        except OSError as error:
            _LOG.warning("can't look for what an earlier run left behind (%s): %s", pid_file.stem, error)
            continue
        if ended:
            _LOG.warning("stopped %d processes that an earlier run left behind (%s)", ended, pid_file.stem)
