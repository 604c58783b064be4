"""The tar file of ``vllama backup``: which files it may hold, and reading one that comes from anywhere. No disk.

Every member is one of the names below, an ordinary file and small. Everything else in a tar file (links, devices,
absolute names, ``..``) is refused, so that a forged file can't write anywhere but over the service's own settings.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from vllama.errors import BadRequest

CONFIG: Final = "vllama.yaml"
KEYS: Final = "keys"
CATALOG: Final = "models.d"
STATE: Final = "state"
_ABOUT: Final = "backup.json"
_VERSION: Final = 1
_STATE_FILES: Final = ("manifests/*.json", "tuned/*.yaml", "measured.json")
_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_KNOWN: Final = re.compile(
    rf"{_ABOUT}|{CONFIG}|{KEYS}|{CATALOG}/{_NAME}\.ya?ml"
    rf"|{STATE}/(?:manifests/{_NAME}\.json|tuned/{_NAME}\.yaml|measured\.json)"
)
_LARGEST: Final = 64 << 20
"""Bytes of all members together; a service with thousands of models has a few megabytes."""
_MOST: Final = 100_000
_NOWHERE: Final = "/nowhere"
"""The filter wants a directory; nothing is extracted to it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a backup."""

    name: str
    """In the tar file: ``vllama.yaml``, ``keys``, ``models.d/own.yaml``, ``state/manifests/...``."""
    data: bytes
    mode: int
    """Permissions, ``0o600``."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a tar file holds."""

    files: tuple[Kept, ...]
    pull: tuple[str, ...]
    """Repositories whose weights the models need, as ``vllama pull`` takes them."""
    lost: tuple[str, ...]
    """Models made of uploaded files: no backup holds those, so the models must be created again."""
    version: str
    """Of the vLLama that wrote it."""


def state_patterns() -> Iterable[str]:
    """Which files below the state directory belong into a backup, as globs."""
    return _STATE_FILES


def belongs(name: str) -> bool:
    """Whether a backup may hold a file of this name."""
    return _KNOWN.fullmatch(name) is not None


def write_archive(backup: Backup, *, now: float) -> bytes:
    """The tar file. ``now``: Unix seconds."""
    about = {
        "version": _VERSION,
        "vllama": backup.version,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "pull": backup.pull,
        "lost": backup.lost,
        "files": [one.name for one in backup.files],
    }
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for one in (Kept(_ABOUT, text.encode(), 0o600), *backup.files):
            member = tarfile.TarInfo(one.name)
            member.size, member.mode, member.mtime = len(one.data), one.mode, int(now)
            tar.addfile(member, io.BytesIO(one.data))
    return out.getvalue()


def read_archive(data: bytes) -> Backup:
    """The opposite of ``write_archive``; raises BadRequest for a tar file that is not a backup, or not a safe one."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            files = {one.name: one for one in _members(tar)}
    except tarfile.FilterError as error:
        raise _refused(f"it holds a member that leads elsewhere: {error}") from error
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise _refused(f"it is not a whole tar file ({error})") from error
    about = _about(files.pop(_ABOUT, None))
    if set(_texts(about, "files")) != set(files):
        raise _refused("it is cut off")
    return Backup(
        files=tuple(files.values()),
        pull=_texts(about, "pull"),
        lost=_texts(about, "lost"),
        version=str(about.get("vllama", "")),
    )


def _members(tar: tarfile.TarFile) -> Iterator[Kept]:
    total = 0
    for count, member in enumerate(tar):
        tarfile.data_filter(member, _NOWHERE)  # raises for names and links that lead out of it, and for devices
        if not member.isreg() or not belongs(member.name):
            raise _refused(f"{member.name[:80]!r} does not belong into a backup")
        total += member.size
        if total > _LARGEST or count >= _MOST:
            raise _refused(f"it holds more than {_LARGEST >> 20} MiB or {_MOST} files")
        file = tar.extractfile(member)
        content = file.read() if file is not None else b""
        if len(content) != member.size:
            raise _refused("it is cut off")
        yield Kept(member.name, content, member.mode & 0o777)


def _about(kept: Kept | None) -> Mapping[str, object]:
    try:
        value = json.loads(kept.data) if kept is not None else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _refused(f"it has no {_ABOUT}")
    if value.get("version") != _VERSION:
        raise _refused("a newer vLLama wrote it", hint="Restore it with that version.")
    return value


def _texts(about: Mapping[str, object], key: str) -> tuple[str, ...]:
    found = about.get(key)
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _refused(reason: str, hint: str = "Name a file that 'vllama backup' wrote.") -> BadRequest:
    return BadRequest(f"the file can't be restored: {reason}", hint=hint)
