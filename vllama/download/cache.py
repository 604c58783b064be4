"""Brings a model's repository from the Hugging Face hub into our cache.

The hub's library moves the bytes and keeps its cache. We add that a file goes on where it stopped (today's library
throws partial files away), and that its checksum is checked. Runs in a process of its own (``download.child``).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from vllama import files
from vllama.download.border import TRANSPORT_ERROR, hub_border
from vllama.download.hub import RemoteFile, Snapshot, quieten, snapshot_of
from vllama.errors import ModelUnusable, PullFailed
from vllama.install.registry import Registry
from vllama.models.facts import read_kind
from vllama.models.files import KIND_FILES, read_kind_files
from vllama.models.snapshots import hub_cache, remove_snapshot, repository_home
from vllama.models.sources import Source

_CHUNK: Final = 128 << 10
"""What is lost at most when a transfer breaks, and how finely progress is seen; the library itself takes 10 MB."""
_AT_ONCE: Final = 4
_POLL_SECONDS: Final = 0.1
_RESERVE: Final = 64 << 20
_BLOB: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LARGEST_BY_HTTP: Final[int] = getattr(constants, "MAX_HTTP_DOWNLOAD_SIZE", 50_000_000_000)

Grown = Callable[[Mapping[str, int]], None]
"""Takes the bytes that are here, by file name. Called from another thread."""


def fetch(
    source: Source,
    state: Path,
    planned: Callable[[Snapshot], None],
    grown: Grown,
    registry: Registry,
    *,
    endpoint: str | None = None,
) -> str:
    """Fetch ``source`` (a hub repository) into the cache below ``state``; returns the commit that is there now.

    Blocks. Raises PullFailed, and ModelUnusable, before the weights are fetched, for what the engine of ``registry``
    can't serve. ``endpoint``: another hub than huggingface_hub's own (``HF_ENDPOINT``).
    """
    quieten()
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    with hub_border(source):
        snapshot = snapshot_of(source, hub_cache(state), endpoint)
        _Fetch(source, snapshot, state, endpoint).run(planned, grown, registry)
    return snapshot.commit


class _Fetch:
    """One snapshot on its way."""

    def __init__(self, source: Source, snapshot: Snapshot, state: Path, endpoint: str | None) -> None:
        self._source, self._snapshot, self._state, self._endpoint = source, snapshot, state, endpoint
        self._home = repository_home(state, source.location)
        self._blobs: dict[str, Path] = {}
        """Where each file's bytes are put, once the hub has sent its name for them."""
        self._stopped = threading.Event()

    def run(self, planned: Callable[[Snapshot], None], grown: Grown, registry: Registry) -> None:
        """Fetch everything: first the files that say what the model is, then from small to large."""
        (self._home / "blobs").mkdir(parents=True, exist_ok=True)
        self._check_disk()
        planned(self._snapshot)
        watcher = threading.Thread(target=self._watch, args=(grown,), name="fetch-progress", daemon=True)
        watcher.start()
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch")
        try:
            kinds = [file for file in self._snapshot.files if file.name in KIND_FILES]
            others = [file for file in self._snapshot.files if file.name not in KIND_FILES]
            for _ in pool.map(self._bring, kinds):
                pass  # an error of any file ends all
            self._check_kind(registry)
            for _ in pool.map(self._bring, sorted(others, key=lambda file: file.size)):
                pass
        finally:
            self._stopped.set()
            watcher.join()
            pool.shutdown(cancel_futures=True)
        self._point_revision()
        grown({file.name: file.size for file in self._snapshot.files})

    def _check_kind(self, registry: Registry) -> None:
        """Raises ModelUnusable for what can't be served, before many gigabytes are fetched; it is then not kept."""
        snapshot = self._home / "snapshots" / self._snapshot.commit
        try:
            read_kind(read_kind_files(snapshot), registry)
        except ModelUnusable:
            if not any((snapshot / file.name).exists() for file in self._snapshot.files if file.name not in KIND_FILES):
                remove_snapshot(self._state, self._source.location, self._snapshot.commit)
            raise

    def _check_disk(self) -> None:
        total = sum(file.size for file in self._snapshot.files)
        free, missing = shutil.disk_usage(self._home).free, total - _bytes_below(self._home / "blobs")
        if missing + _RESERVE > free:
            raise PullFailed(
                f"{self._source} needs {missing / 1e9:.1f} GB more, the disk has {free / 1e9:.1f} GB free",
                hint="Free some space, or set paths.state to a larger disk.",
                where=self._home.parent,
            )

    def _watch(self, grown: Grown) -> None:
        """Report how much is fetched. It looks at the disk, which works with every version of the library."""
        sizes = {file.name: file.size for file in self._snapshot.files}
        reported: Mapping[str, int] = {}
        while not self._stopped.wait(_POLL_SECONDS):
            here = {name: min(_size(blob), sizes[name]) for name, blob in dict(self._blobs).items()}
            if here != reported:
                grown(here)
                reported = here

    def _bring(self, file: RemoteFile) -> None:
        """One file into the cache."""
        repository, commit = self._source.location, self._snapshot.commit
        with hub_border(self._source, fetching=True):
            url = hf_hub_url(repository, file.name, revision=commit, endpoint=self._endpoint)
            name = str(get_hf_file_metadata(url, endpoint=self._endpoint).etag)
            blob = self._home / "blobs" / name
            self._blobs[file.name] = blob
            if _BLOB.fullmatch(name) and file.size <= _LARGEST_BY_HTTP:
                lock = self._home.parent / ".locks" / self._home.name / f"{name}.lock"
                lock.parent.mkdir(parents=True, exist_ok=True)
                with WeakFileLock(lock):
                    if not blob.exists():
                        self._download(url, file, blob)
            # finds the bytes and gives them their place in the snapshot (very large files it fetches itself)
            hf_hub_download(
                repository, file.name, revision=commit, cache_dir=self._home.parent, endpoint=self._endpoint
            )

    def _download(self, url: str, file: RemoteFile, blob: Path) -> None:
        part = _part(blob)
        if _size(part) > file.size:
            part.unlink()
        headers = build_hf_headers()
        headers["Accept-Encoding"] = "identity"  # a range of compressed bytes would be another file's
        with part.open("ab", buffering=0) as opened:
            while (here := opened.tell()) < file.size or not here:
                try:
                    http_get(url, opened, resume_size=here, headers=headers, expected_size=file.size)
                    break
                except TRANSPORT_ERROR:
                    # Some versions of the library (1.3) don't go on by themselves when a connection breaks in mid-file.
                    if opened.tell() == here:
                        raise
        if not _is_whole(part, file, blob.name):
            part.unlink()
            raise PullFailed(
                f"{file.name} of {self._source} arrived damaged: its checksum is not the hub's",
                hint="Pull again; the other files are kept.",
            )
        part.replace(blob)

    def _point_revision(self) -> None:
        """Let the branch's or tag's name find the commit, as the library does."""
        revision = self._source.revision or "main"
        if revision != self._snapshot.commit:
            ref = self._home / "refs" / revision
            files.replace(ref, self._snapshot.commit, below=self._home)


def _part(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _size(blob: Path) -> int:
    """Bytes of a blob that are here, be it whole or not."""
    for path in (blob, _part(blob), blob):  # it may become whole while we look
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    return 0


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _is_whole(part: Path, file: RemoteFile, name: str) -> bool:
    """Whether the bytes are those that the hub's hash belongs to: SHA-256, or git's for small files."""
    with part.open("rb") as opened:
        if file.sha256:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
        if len(name) == 40:
            header = f"blob {file.size}\0".encode()
            return hashlib.sha1(header + opened.read(), usedforsecurity=False).hexdigest() == name
    return True
