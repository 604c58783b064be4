"""Which directories the service uses, and making them.

Order: configuration (flag, environment, file) > what systemd gives > those of the checkout that the code runs from >
root's system directories or the user's XDG ones.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama.config.environment import CHECKOUT
from vllama.config.schema import Config
from vllama.errors import ConfigError

_LONGEST_SOCKET_PATH: Final = 107
SOCKET_NAME_ROOM: Final = 72
"""Bytes that paths below the runtime directory may use: an engine's own directory (34) and in it vLLM's sockets, which
are named by a UUID (37)."""

_IN_A_CHECKOUT: Final = {"STATE_DIRECTORY": "state", "CACHE_DIRECTORY": "cache", "RUNTIME_DIRECTORY": "run"}


@dataclass(frozen=True, slots=True)
class Directories:
    """Absolute paths; they need not exist yet."""

    state: Path
    cache: Path
    runtime: Path
    engine_prefix: Path


def resolve_directories(config: Config, environ: Mapping[str, str], *, uid: int) -> Directories:
    """Choose the directories of a service run by ``uid``; touches nothing."""
    home = Path(environ.get("HOME") or "/")
    root = uid == 0
    checkout = Path(environ[CHECKOUT]) / ".vllama" if environ.get(CHECKOUT) else None

    def choose(configured: Path | None, systemd: str, system: str, xdg: str, fallback: str) -> Path:
        if configured is not None:
            return _absolute(configured, home)
        if given := environ.get(systemd, "").split(":")[0]:
            return Path(given)
        if checkout is not None:
            return checkout / _IN_A_CHECKOUT[systemd]
        if root:
            return Path(system)
        base = environ.get(xdg, "")
        return (Path(base) if base.startswith("/") else home / fallback) / "vllama"

    paths = config.paths
    state = choose(paths.state, "STATE_DIRECTORY", "/var/lib/vllama", "XDG_DATA_HOME", ".local/share")
    cache = choose(paths.cache, "CACHE_DIRECTORY", "/var/cache/vllama", "XDG_CACHE_HOME", ".cache")
    own = _private_temporary(environ, f"vllama-{uid}")
    given = paths.runtime is not None or "RUNTIME_DIRECTORY" in environ or environ.get("XDG_RUNTIME_DIR")
    if root or checkout is not None or given:
        runtime = choose(paths.runtime, "RUNTIME_DIRECTORY", "/run/vllama", "XDG_RUNTIME_DIR", "")
    else:
        runtime = own
    if len(os.fsencode(runtime)) > _LONGEST_SOCKET_PATH - SOCKET_NAME_ROOM:
        # the same setting always gives the same directory, so that other commands find it
        runtime = _private_temporary(environ, f"vllama-{uid}-{hashlib.sha256(os.fsencode(runtime)).hexdigest()[:8]}")
    prefix = config.engine.prefix
    if prefix is not None:
        prefix = _absolute(prefix, home)
    elif checkout is not None:
        prefix = checkout / "engine"
    else:
        prefix = Path("/var/lib/vllama-engine") if root else state / "engine"
    return Directories(state, cache, runtime, prefix)


def make_directories(directories: Directories) -> None:
    """Create state, cache and runtime directory; the runtime directory is ours alone (0700).

    Raises ConfigError when one can't be made or the runtime directory belongs to another user.
    """
    problems = []
    for name in ("state", "cache", "runtime"):
        path: Path = getattr(directories, name)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700 if name == "runtime" else 0o755)
            if name == "runtime":
                _claim(path)
        except OSError as error:
            problems.append(f"paths.{name}: {path}: {error.strerror or error}")
    if problems:
        raise ConfigError("a directory of the service can't be used", problems=tuple(problems))


def _claim(path: Path) -> None:
    """The engines' sockets have no other lock than this directory: refuse one that others own or planted."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(None, "is not a directory of this user alone; remove it or set paths.runtime")
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)


def _private_temporary(environ: Mapping[str, str], name: str) -> Path:
    """A short directory: TMPDIR itself may be as long as it likes."""
    base = environ.get("TMPDIR") or tempfile.gettempdir()
    path = Path(base) / name
    return path if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH - SOCKET_NAME_ROOM else Path("/tmp") / name  # noqa: S108 - checked in _claim


def _absolute(path: Path, home: Path) -> Path:
    text = str(path)
    if text == "~" or text.startswith("~/"):
        path = home / text[2:]
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links that the admin meant to keep
