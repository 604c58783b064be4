"""Turns exceptions of our own tasks into causes that people can read. Pure."""

from __future__ import annotations

import errno
from typing import Final

from vllama.engine.diagnose import Cause
from vllama.errors import ConfigError, VllamaError

_HINTS: Final = {
    errno.ENOSPC: "Free some space: df shows what is full. The next request tries again.",
    errno.EDQUOT: "Free some space: the quota is used up. The next request tries again.",
    errno.EMFILE: "Raise the service's limit of open files (LimitNOFILE). The next request tries again.",
    errno.ENFILE: "The machine has no file descriptors left. The next request tries again.",
    errno.ENOMEM: "The machine is out of memory. The next request tries again.",
    errno.EAGAIN: "The limit of processes is reached. The next request tries again.",
}
_AGAIN: Final = "The service's log says more. The next request tries again."


def mishap(error: Exception, doing: str, *, outside: bool = False) -> Cause:
    """``doing`` as in "the engine can't be started"; neither paths nor tracebacks are for clients.

    ``outside``: the engine has no part in it.
    """
    match error:
        case ConfigError():
            text = "; ".join((error.detail, *error.problems))
            return Cause(error.error_code, text, error.advice, status=error.http_status, outside=outside)
        case VllamaError():
            return Cause(error.error_code, error.detail, error.advice, status=error.http_status, outside=outside)
        case TimeoutError():
            return Cause("surroundings", f"{doing}: the file system does not answer", _AGAIN, outside=outside)
        case OSError(errno=number, strerror=reason) if reason:
            hint = _HINTS.get(number or 0, _AGAIN)
            return Cause("surroundings", f"{doing}: {reason[:1].lower()}{reason[1:]}", hint, outside=outside)
        case _:
            return Cause("internal", f"{doing}: an internal error", _AGAIN, outside=outside)
