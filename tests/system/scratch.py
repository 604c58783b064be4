"""Where the tests of this folder keep things: never inside the repository."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """What is worth keeping between runs; may be deleted any time."""
    base = os.environ.get("VLLAMA_TEST_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vllama-tests"
