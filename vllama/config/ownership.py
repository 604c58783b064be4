"""Directories that only one running service may use."""

from __future__ import annotations

import fcntl
import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vllama import files
from vllama.errors import AlreadyRunning, ConfigError

_LOCK = "vllama.lock"


@contextmanager
def sole_owner(directory: Path) -> Iterator[None]:
    """Own ``directory`` (which exists) while the block runs; raises AlreadyRunning when another process does.

    The kernel gives the lock back when its holder dies, however it dies.
    """
    try:
        lock = files.open_kept(directory / _LOCK)
    except OSError as error:
        raise ConfigError(
            f"{directory / _LOCK} can't be opened: {error.strerror or error}",
            hint=f"Is it somebody else's? Give it to the service: sudo chown -R {getpass.getuser()}: {directory}",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            message = f"another vllama (pid {owner}) is already running with {directory}"
            hint = "stop it, or give this one its own paths.state, paths.cache and paths.runtime in its configuration"
            raise AlreadyRunning(message, hint=hint) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
