"""The program of a worker: reads one job after the other from standard input, and answers on standard output.

A job is a length and a pickled function with its arguments; the answer a length and a pickled pair of the error (ours
as it is, another as its traceback) and the result. What it needs is imported first, none of it is more than texts.
"""

from __future__ import annotations

import os
import pickle
import resource
import struct
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from vllama.errors import VllamaError

HEAD: Final = struct.Struct("!Q")
READY: Final = b"ready\n"
_MEMORY: Final = 2 << 30
"""Bytes of address space: a job that wants more fails alone."""


def main() -> None:
    """Work until the input ends, which is the only sign that the service has ended."""
    _limit_memory()
    from vllama.translate import bounds  # noqa: F401, PLC0415 - once, before the first job
    from vllama.translate.prompts import prompting  # noqa: F401, PLC0415 - once, before the first job

    jobs, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed must not come between the answers
    answers.write(READY)
    answers.flush()
    while head := jobs.read(HEAD.size):
        data = _answer(_read(jobs, head))
        answers.write(HEAD.pack(len(data)) + data)
        answers.flush()


def _read(jobs: BinaryIO, head: bytes) -> bytes:
    (length,) = HEAD.unpack(head)
    return jobs.read(length)


def _answer(job: bytes) -> bytes:
    failure: Any = None
    value: Any = None
    try:
        function: Callable[..., Any]
        function, args = pickle.loads(job)  # noqa: S301 - written by the service
        value = function(*args)
    except VllamaError as error:
        failure = error
    except Exception:  # noqa: BLE001 - the service logs it
        failure = traceback.format_exc()
    return pickle.dumps((failure, value), protocol=pickle.HIGHEST_PROTOCOL)


def _limit_memory() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = _MEMORY if most == resource.RLIM_INFINITY else min(_MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


if __name__ == "__main__":
    main()
