"""The lock files that come with vLLama, made by ``make locks`` and read by ``install.lock``."""

from __future__ import annotations

from importlib import resources
from typing import Literal

LockName = Literal["cpu", "torch-cpu", "torch-public", "cuda"]
"""``cpu`` is the CPU engine without torch and triton; these come from one of the two ``torch-…`` locks."""


def shipped(name: LockName) -> str:
    """The text of a lock file."""
    return resources.files(__name__).joinpath(f"{name}.lock").read_text()
