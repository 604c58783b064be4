"""Files that are written whole or not at all, and directories in which no link is followed.

Root's commands write into directories of the service's user. A link planted there must not lead root elsewhere: the
directory that a configuration names (``below``) may be a link, what lies inside it may not. Raises OSError throughout.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

HALF: Final = ".new"
"""How the name of a file ends that is being written. One that is left was cut off by a crash."""
_NO_LINK: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_LARGEST: Final = 64 << 20


def replace(
    path: Path, data: bytes | str, *, below: Path | None = None, mode: int | None = None, group: int | None = None
) -> None:
    """Write a file so that after a crash the old or the new one is there, whole; missing directories are made.

    ``below``: no link is followed from that directory on. ``mode``: None: as the umask has it. Written by root it
    belongs to the owner of its directory, so that the service can go on with it; ``group`` is stronger.
    """
    content = data.encode() if isinstance(data, str) else data
    with _folder(path.parent, below or path.parent) as folder, _half(folder) as half:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
        descriptor = os.open(half, flags, 0o666 if mode is None else 0o600, dir_fd=folder)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            _give(file.fileno(), folder, group)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(half, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def replace_link(path: Path, target: str) -> None:
    """Let the link ``path`` point to ``target`` by one rename."""
    with _folder(path.parent, path.parent) as folder, _half(folder) as half:
        os.symlink(target, half, dir_fd=folder)
        os.rename(half, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def remove(path: Path, *, below: Path) -> None:
    """Remove a file without following links from ``below`` on."""
    with _folder(path.parent, below, make=False) as folder:
        os.unlink(path.name, dir_fd=folder)


def read(path: Path, *, below: Path | None = None, most: int = _LARGEST) -> bytes:
    """The bytes of an ordinary file; a link, a device, a pipe or a larger file is an error and never waited for."""
    with _folder(path.parent, below or path.parent, make=False) as folder:
        descriptor = os.open(path.name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINK, dir_fd=folder)
    return _all_of(descriptor, path, most)


def read_linked(path: Path, *, most: int = _LARGEST) -> bytes:
    """As ``read``, where the administrator says which file it is: links to it are theirs, too."""
    return _all_of(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), path, most)


def open_kept(path: Path, mode: str = "a+") -> IO[str]:
    """A text file that stays where it is (a lock, a log), made where it is missing; never through a link.

    ``mode``: ``a+`` or ``a``.
    """
    flags = (os.O_RDWR if "+" in mode else os.O_WRONLY) | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | _NO_LINK
    descriptor = os.open(path, flags, 0o666)
    _demand_ordinary(descriptor, path)
    return open(descriptor, mode, encoding="utf-8")  # noqa: PTH123 - a descriptor, which the caller closes


def sync_folder(path: Path) -> None:
    """Let a rename in ``path`` outlive a power cut."""
    with _folder(path, path, make=False) as folder:
        os.fsync(folder)


@contextmanager
def _folder(path: Path, below: Path, *, make: bool = True) -> Iterator[int]:
    """A descriptor of a directory, reached from ``below`` without following a link."""
    if make:
        below.mkdir(parents=True, exist_ok=True)
    folder = os.open(below, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in path.relative_to(below).parts:
            inner = _step(folder, part, make=make)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _step(folder: int, part: str, *, make: bool) -> int:
    made = False
    if make:
        with suppress(FileExistsError):
            os.mkdir(part, dir_fd=folder)
            made = True
    if part == "..":
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), part)
    inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK, dir_fd=folder)
    if made:
        _give(inner, folder, None)
    return inner


@contextmanager
def _half(folder: int) -> Iterator[str]:
    """The name of a temporary file: unpredictable, and removed at the end."""
    name = f".{secrets.token_hex(8)}{HALF}"
    try:
        yield name
    finally:
        with suppress(OSError):  # it has been renamed
            os.unlink(name, dir_fd=folder)


def _give(descriptor: int, folder: int, group: int | None) -> None:
    """As root: to the owner of the directory."""
    if os.geteuid() == 0:
        owner = os.fstat(folder)
        os.fchown(descriptor, owner.st_uid, owner.st_gid if group is None else group)


def _all_of(descriptor: int, path: Path, most: int) -> bytes:
    _demand_ordinary(descriptor, path)
    with open(descriptor, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def _demand_ordinary(descriptor: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not an ordinary file", str(path))
