"""Where the Hugging Face cache keeps what was fetched: its standard layout below the state directory."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import Final

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_INCOMPLETE: Final = ".incomplete"


def hub_cache(state: Path) -> Path:
    """The directory that huggingface_hub calls ``HF_HUB_CACHE``."""
    return state / "models" / "hub"


def repository_home(state: Path, repository: str) -> Path:
    """The directory of one repository (``org/name``) in the cache."""
    return hub_cache(state) / f"models--{repository.replace('/', '--')}"


def find_snapshot(state: Path, repository: str, revision: str = "") -> Path | None:
    """The directory of a fetched revision; None when it isn't there. It may lack files when a fetch was broken off."""
    home = repository_home(state, repository)
    revision = revision or "main"
    try:
        commit = (home / "refs" / revision).read_text("ascii").strip()
    except (OSError, ValueError):
        commit = revision
    snapshot = home / "snapshots" / commit
    return snapshot if _COMMIT.fullmatch(commit) and snapshot.is_dir() else None


def blob_name(path: Path) -> str | None:
    """The content hash that the hub gave to a file of a snapshot (its blob's name); None for an ordinary file."""
    if not path.is_symlink():
        return None
    target = path.readlink()
    return target.name if target.parent.name == "blobs" else None


def remove_snapshot(state: Path, repository: str, commit: str) -> None:
    """Delete one fetched commit, and of the repository's blobs those that no other commit uses.

    Doing it again after it was broken off finishes it. What a running fetch has brought so far is not touched: no
    snapshot names it yet.
    """
    home = repository_home(state, repository)
    if not _COMMIT.fullmatch(commit):
        return
    snapshots = home / "snapshots"
    gone, others = snapshots / commit, [path for path in _entries(snapshots) if path.name != commit]
    kept = {name for snapshot in others for name in _blobs_of(snapshot)}
    for name in _blobs_of(gone) - kept:
        (home / "blobs" / name).unlink(missing_ok=True)  # before its link: a second try must still find it
    shutil.rmtree(gone, ignore_errors=True)
    for ref in (home / "refs").rglob("*"):
        with contextlib.suppress(OSError, ValueError):
            if ref.is_file() and ref.read_text("ascii").strip() == commit:
                ref.unlink()
    if not others and not _entries(home / "blobs"):
        shutil.rmtree(home, ignore_errors=True)


def sweep_incomplete(state: Path, before: float) -> int:
    """Delete partly fetched files that did not grow since ``before`` (Unix seconds); returns their number."""
    swept = 0
    for path in hub_cache(state).glob(f"models--*/blobs/*{_INCOMPLETE}"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()
                swept += 1
    return swept


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _blobs_of(snapshot: Path) -> set[str]:
    names = (blob_name(path) for path in snapshot.rglob("*"))
    return {name for name in names if name is not None}
