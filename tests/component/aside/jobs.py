"""Jobs for workers: pure functions of a module, as every job is."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from vllama.errors import NotFound


def double(value):
    return value * 2


def who() -> int:
    return os.getpid()


def spin(seconds: float) -> int:
    """Take so long, without letting anything in between."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        pass
    return os.getpid()


def refuse() -> None:
    raise NotFound("there is none", hint="look elsewhere", status=410)


def break_down() -> None:
    raise LookupError("/etc/secret")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(mark: str) -> int:
    """Killed at the first try."""
    try:
        Path(mark).mkdir()
    except FileExistsError:
        return os.getpid()
    die()
    raise AssertionError


def swallow() -> int:
    return len(bytearray(8 << 30))


def talk() -> str:
    print("a word")
    return "said"


def surroundings() -> tuple[str, str, list[str]]:
    return str(Path.cwd()), os.environ.get("HF_TOKEN", ""), sys.path
