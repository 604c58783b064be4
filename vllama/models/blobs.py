"""Files that clients upload to create models from: stored by their SHA-256, then laid out as a model's directory.

A layout consists of hard links, so that nothing is stored twice; a blob with no other link is used by no model.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from vllama import files
from vllama.errors import NotFound, StoreFailed

_DIGEST: Final = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
_PART, _NEW = ".part", ".new"


def read_digest(text: str) -> str | None:
    """The 64 lower-case hex digits of ``sha256:...`` or ``sha256-...``; None when it is something else."""
    found = _DIGEST.fullmatch(text)
    return found[1].lower() if found else None


def is_relative(name: str) -> bool:
    """Whether a file's name stays below the directory that it is put into (Go's ``fs.ValidPath``)."""
    parts = name.split("/")
    return all(part not in {"", ".", ".."} and len(part.encode("utf-8", "replace")) <= 255 for part in parts) and (
        "\0" not in name
    )


class Upload:
    """One blob on its way in; nothing of it can be seen before ``finish``."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._part = place.with_name(f"{secrets.token_hex(8)}{_PART}")
        self._sum = hashlib.sha256()
        with storing():
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("xb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Raises StoreFailed."""
        self._sum.update(data)
        with storing():
            self._file.write(data)

    def finish(self, digest: str) -> str:
        """Keep it when its SHA-256 is ``digest``; returns the true one."""
        true = self._sum.hexdigest()
        if true == digest:
            with storing():
                self._file.flush()
                os.fsync(self._file.fileno())
                self._part.rename(self._place)
                files.sync_folder(self._place.parent)
        return true

    def close(self) -> None:
        """Drop what was not kept."""
        self._file.close()
        self._part.unlink(missing_ok=True)


class Blobs:
    """The blobs below the state directory and the directories made of them."""

    def __init__(self, state: Path) -> None:
        self._blobs = state / "blobs"
        self._files = state / "models" / "files"

    def has(self, digest: str) -> bool:
        """``digest``: 64 hex digits."""
        return self._blob(digest).is_file()

    def upload(self, digest: str) -> Upload:
        """A new blob that is going to be ``digest``; close it in the end."""
        return Upload(self._blob(digest))

    def head(self, digest: str, count: int) -> bytes:
        """The first bytes of a blob; raises NotFound."""
        try:
            with self._blob(digest).open("rb") as file:
                return file.read(count)
        except FileNotFoundError as error:
            raise _missing(digest) from error

    def lay_out(self, wanted: Mapping[str, str]) -> str:
        """Make a directory of ``wanted`` (name to blob); returns the hash that ``directory`` finds it by.

        Raises NotFound for a blob that isn't there, StoreFailed.
        """
        listed = "".join(f"{name}\0{digest}\n" for name, digest in sorted(wanted.items()))
        identity = hashlib.sha256(listed.encode()).hexdigest()
        place = self.directory(identity)
        new = self._files / f"{secrets.token_hex(8)}{_NEW}"
        try:
            with storing():
                for name, digest in wanted.items():
                    path = new / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        path.hardlink_to(self._blob(digest))
                    except FileNotFoundError as error:
                        raise _missing(digest) from error
                if not place.is_dir():
                    new.rename(place)
                    files.sync_folder(place.parent)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return identity

    def directory(self, identity: str) -> Path:
        """Where ``lay_out`` put the files of that hash."""
        return self._files / identity

    def remove(self, identity: str) -> None:
        """Delete a directory and the blobs that only it used."""
        place = self.directory(identity)
        mine = {path.stat().st_ino for path in place.rglob("*") if path.is_file()}
        shutil.rmtree(place, ignore_errors=True)
        for blob in self._unused():
            if blob.stat().st_ino in mine:
                blob.unlink(missing_ok=True)

    def sweep(self, used: set[str]) -> None:
        """Delete what an earlier run left half done, directories not in ``used``, and blobs of no model."""
        for part in self._blobs.glob(f"*{_PART}"):
            part.unlink(missing_ok=True)
        for place in self._files.glob("*"):
            if place.name not in used:
                shutil.rmtree(place, ignore_errors=True)
        for blob in self._unused():
            blob.unlink(missing_ok=True)

    def _blob(self, digest: str) -> Path:
        return self._blobs / f"sha256-{digest}"

    def _unused(self) -> list[Path]:
        with contextlib.suppress(OSError):
            return [path for path in self._blobs.glob("sha256-*") if path.stat().st_nlink == 1]
        return []


@contextmanager
def storing() -> Iterator[None]:
    """Errors of the disk as ours."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFailed(
                "the disk is full: no space left on device", hint="Free some space and try again."
            ) from error
        raise StoreFailed(f"the model store can't be written: {error.strerror}", where=str(error.filename)) from error


def _missing(digest: str) -> NotFound:
    """Ollama meets it while it converts, hence the status."""
    return NotFound(f'blob "sha256:{digest}" not found', status=500)
