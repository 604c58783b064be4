"""The engine that `make engine` installed: the tests of rings ``engine`` and ``fault`` run it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from vllama.install.capabilities import Capabilities
from vllama.install.engines import locate


def engine_prefix() -> Path:
    """Where the checkout keeps it; `make` says so in the environment, a bare pytest finds the usual place."""
    return Path(os.environ.get("VLLAMA_ENGINE_PREFIX") or Path(__file__).parents[1] / ".vllama" / "engine")


@cache
def installed_engine() -> Capabilities:
    """Its interpreter and what it can do; fails with the command to type where there is none."""
    return locate(None, engine_prefix())
