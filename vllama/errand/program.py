"""The child's side of an errand.

::

    def main() -> None:
        carry_out(lambda order, report: fetch(order["source"], report))
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

from vllama import privacy
from vllama.errand.lines import Advance, ErrandLine, Result, failure_of, write
from vllama.errors import VllamaError

ReportStage: TypeAlias = Callable[[str, int, int], None]
"""Tell the parent about a stage: its name, how much of it is done, and of how much (0: unknown). From any thread."""


def carry_out(work: Callable[[Any, ReportStage], Any]) -> None:
    """Call ``work`` with the order from standard input, and send what it returns, or the error of ours that it raises.

    Other exceptions are the program's end: their traceback goes to standard error, as for any program. The process
    ends when its parent does.
    """
    output, lock = os.dup(1), threading.Lock()
    os.dup2(2, 1)  # what libraries print must not come between the lines

    def send(line: ErrandLine) -> None:
        with lock:
            _write_all(output, write(line))

    wanted = orjson.loads(sys.stdin.buffer.readline())
    privacy.take(wanted["secrets"])
    threading.Thread(target=_leave_with_parent, name="parent", daemon=True).start()
    try:
        send(Result(work(wanted["order"], lambda stage, done, total: send(Advance(stage, done, total)))))
    except VllamaError as error:
        send(failure_of(error))


def _write_all(output: int, data: bytes) -> None:
    while data:
        data = data[os.write(output, data) :]


def _leave_with_parent() -> None:
    while os.read(0, 4096):  # without Python's buffer, whose lock would stop this program's own end
        pass
    os._exit(1)
