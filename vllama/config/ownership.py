"""Directories that only one running service may use."""

from __future__ import annotations

import fcntl
import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from vllama import files
from vllama.errors import AlreadyRunning, ConfigError

_LOCK = "vllama.lock"


class Owner:
    """The one service that uses a directory."""

    def __init__(self, lock: IO[str]) -> None:
        self._lock = lock
        self._write()

    def listens_on(self, port: int) -> None:
        """Let others know where it is to be found."""
        self._write(port)

    def _write(self, *more: int) -> None:
        with suppress(OSError):  # on a full disk it owns the directory all the same
            self._lock.seek(0)
            self._lock.truncate(0)
            self._lock.write("".join(f"{number}\n" for number in (os.getpid(), *more)))
            self._lock.flush()


@contextmanager
def sole_owner(directory: Path) -> Iterator[Owner]:
    """Own ``directory`` (which exists) while the block runs; raises AlreadyRunning when another process does.

    The kernel gives the lock back when its holder dies, however it dies.
    """
    try:
        lock = files.open_kept(directory / _LOCK)
    except OSError as error:
        raise ConfigError(
            f"{directory / _LOCK} can't be opened: {error.strerror or error}",
            hint=f"If another user owns it, give it to the service: sudo chown -R {getpass.getuser()}: {directory}",
        ) from error
    with lock:
        _give(lock, directory)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            message = f"another vllama ({_named(lock.read())}) is already running with {directory}"
            hint = "stop it, or give this one its own paths.state, paths.cache and paths.runtime in its configuration"
            raise AlreadyRunning(message, hint=hint) from None
        yield Owner(lock)


def _give(lock: IO[str], directory: Path) -> None:
    """Root's commands leave a lock that the service can open: it belongs to the owner of its directory."""
    if os.geteuid() == 0 and os.fstat(lock.fileno()).st_nlink == 1:  # not a link to somebody else's file
        owner = directory.stat()
        os.fchown(lock.fileno(), owner.st_uid, owner.st_gid)


def _named(text: str) -> str:
    """``pid 4711, port 11434``: what the owner wrote; it has no port before it listens."""
    words = text.split()
    return ", ".join(f"{what} {word}" for what, word in zip(("pid", "port"), words, strict=False)) or "pid unknown"
