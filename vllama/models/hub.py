"""Where the Hugging Face cache keeps what was fetched: its standard layout below the state directory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def hub_cache(state: Path) -> Path:
    """The directory that huggingface_hub calls ``HF_HUB_CACHE``."""
    return state / "models" / "hub"


def find_snapshot(state: Path, repository: str, revision: str = "") -> Path | None:
    """The directory of a fetched revision; None when it isn't there. It may lack files when a fetch was broken off."""
    home = hub_cache(state) / f"models--{repository.replace('/', '--')}"
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
