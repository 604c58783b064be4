"""The service on an engine, for a bench without targets: both are started by a checkout's ``tests``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vllama import child
from vllama.errors import NotFound

_CHECKOUT = Path(__file__).parents[2]
_END_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a bare engine and vLLama in front of it are found."""

    direct: str
    """``unix:/PATH`` or ``http://HOST:PORT``."""
    through: str
    """Our URL."""
    model: str
    """The model's name at vLLama."""
    pid: int | None = None
    """The front end's process, where it is on this machine and known."""


@contextmanager
def started_stand(engine: str, token_rate: float) -> Iterator[Stand]:
    """A ``fake`` engine of so many tokens a second and stream or a ``real`` one, and the service in front of it.

    Both are ended with the block.

    Raises NotFound where vLLama was not started from a checkout, or where the service does not come up.
    """
    if not (_CHECKOUT / "tests" / "stand.py").is_file():
        raise NotFound(
            "only a checkout can start engines for a bench", hint="name targets: --direct ADDRESS --through URL"
        )
    argv = [*child.module("tests.stand"), engine, "--token-rate", str(token_rate)]
    start = child.start(cwd=_CHECKOUT)
    start["env"]["PYTHONPATH"] = str(_CHECKOUT)  # where `tests` is
    with subprocess.Popen(argv, **start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise NotFound("the service did not start", hint="what it said is above")
            told = json.loads(line)
            yield Stand(told["direct"], told["through"], told["model"], told["pid"])
        finally:
            if process.stdin:
                process.stdin.close()
            process.wait(_END_SECONDS)
