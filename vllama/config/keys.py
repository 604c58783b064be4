"""API keys: a file with a line for each, of which only the key's hash is kept.

A key is 256 random bits, so one round of SHA-256 hides it. The file is read again whenever it changes: a key that was
added or revoked counts at once.
"""

from __future__ import annotations

import grp
import hashlib
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast, get_args

from vllama import files
from vllama.caller import Scope
from vllama.disk import Reads
from vllama.errors import ConfigError

SYSTEM_FILE: Final = Path("/etc/vllama.keys")
_CREDENTIAL: Final = "vllama.keys"
_GROUP: Final = "vllama"
_LOG: Final = logging.getLogger("vllama.keys")
_PATIENCE: Final = 2.0
"""Seconds that a request waits for the files."""
_HEADER: Final = "# Made by `vllama keys`: id, scope, SHA-256 of the key, day, name.\n"


@dataclass(frozen=True, slots=True)
class Key:
    """One line."""

    id: str
    scope: Scope
    digest: str
    """SHA-256 of the key, in hex."""
    created: str
    """The day, ``2026-11-21``."""
    name: str


def make_key(name: str, scope: Scope, today: str) -> tuple[Key, str]:
    """A new key, and the secret that is shown once."""
    secret = f"vllama-{secrets.token_urlsafe(32)}"
    return Key(secrets.token_hex(4), scope, _digest(secret), today, name), secret


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file; empty without a file. Raises ConfigError for a line that is not a key."""
    try:
        text = files.read_linked(path).decode()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"can't read the keys in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"can't read the keys in {path}: it is not UTF-8 text") from error
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(maxsplit=4)
        if len(words) != 5 or words[1] not in get_args(Scope):
            raise ConfigError(
                f"{path}:{number}: is not a key", hint="Remove the line. 'vllama keys add' creates a new key."
            )
        keys.append(Key(words[0], cast("Scope", words[1]), words[2], words[3], words[4]))
    return tuple(keys)


def write_keys(path: Path, keys: Sequence[Key]) -> None:
    """Replace the file whole; readable by us and by the service alone. Raises ConfigError when it can't be written."""
    lines = [f"{key.id} {key.scope} {key.digest} {key.created} {key.name}\n" for key in keys]
    group: int | None = None
    if os.geteuid() == 0:
        with suppress(KeyError):  # a machine without the service's group
            group = grp.getgrnam(_GROUP).gr_gid
    try:
        files.replace(path, _HEADER + "".join(lines), mode=0o640, group=group)
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}", hint="Run it as root: sudo vllama keys") from error


def keys_file(configured: Path | None, state: Path, environ: Mapping[str, str]) -> Path:
    """Where keys are kept: the system's file for root and the system's service, else in the state directory."""
    if configured is not None:
        return configured
    return SYSTEM_FILE if os.geteuid() == 0 or "STATE_DIRECTORY" in environ else state / "keys"


def key_files(configured: Path | None, state: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """All files whose keys count: also the credential that systemd passes."""
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    given = (Path(credentials) / _CREDENTIAL,) if credentials else ()
    return (keys_file(configured, state, environ), *given)


class KeyRing:
    """Looks keys up. ``look`` reads files that have changed; one that can't be read leaves its last good keys valid."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._reads = Reads()
        self._seen: dict[Path, tuple[int, int] | None] = {}
        self._keys: dict[Path, tuple[Key, ...]] = {}
        self._known: Mapping[str, Key] = {}
        self._broken: set[Path] = set()

    @property
    def broken(self) -> int:
        """How many of the files could not be read when they had changed."""
        return len(self._broken)

    def find(self, secret: str) -> Key | None:
        """The key with this secret, as last read; None without such a key."""
        return self._known.get(_digest(secret))

    async def look(self) -> None:
        """Read files that have changed, in a thread; a file system that does not answer changes nothing."""
        with suppress(TimeoutError):
            await self._reads.done("keys", self.read, _PATIENCE)

    def read(self) -> None:
        """As ``look``, in this thread."""
        for file in self.files:
            stamp = _stamp(file)
            if file in self._seen and self._seen[file] == stamp:
                continue
            try:
                self._keys[file] = read_keys(file)
                self._broken.discard(file)
            except ConfigError as error:
                self._broken.add(file)
                _LOG.error("the keys that were last read stay valid: %s. %s", error, error.hint)
            self._seen[file] = stamp
        self._known = {key.digest: key for keys in self._keys.values() for key in keys}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()  # a header is any bytes


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
