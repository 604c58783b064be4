"""Keeps the secrets of this process from other processes of its user: engines run as the same one.

They could read ``/proc/PID/environ`` and the memory of any process of theirs that may be dumped. Root still can.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Final

from vllama.child import SECRETS

_PR_SET_DUMPABLE: Final = 4


def hide() -> None:
    """From now on no process of our user can read our memory; what the kernel shows of our environment has no secrets.

    ``os.environ`` keeps them. A debugger of the same user can't attach any more.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.getenv.restype = ctypes.c_void_p
    for name in SECRETS:
        if place := libc.getenv(name.encode()):
            ctypes.memset(place, 0, len(ctypes.string_at(place)))


def take(secrets: Mapping[str, str]) -> None:
    """Put secrets that came another way into our environment, where libraries look for them."""
    hide()
    os.environ.update(secrets)
