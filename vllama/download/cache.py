"""Brings a model's repository from the Hugging Face hub into our cache.

Only what vLLM needs is fetched: one set of weights (safetensors), configuration, tokenizer, chat template. The hub's
library moves the bytes and keeps its cache. We add that a file goes on where it stopped (today's library throws partial
files away), and that its checksum is checked. Runs in a process of its own: ``models.downloads`` starts and stops it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import stat
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers
from huggingface_hub.utils.tqdm import disable_progress_bars

from vllama import files
from vllama.download.border import TRANSPORT_ERROR, hub_border
from vllama.errors import ModelUnusable, PullFailed
from vllama.install.registry import Registry
from vllama.models.facts import read_kind
from vllama.models.files import KIND_FILES, read_kind_files
from vllama.models.foreign import ADAPTER, Reason, adapter_of, reason
from vllama.models.layout import ADAPTER_FILES, INDEX, is_plain, needed_files, weight_files
from vllama.models.snapshots import hub_cache, remove_snapshot, repository_home
from vllama.models.sources import Source

_CHUNK: Final = 128 << 10
"""What is lost at most when a transfer breaks, and how finely progress is seen; the library itself takes 10 MB."""
_AT_ONCE: Final = 4
_POLL_SECONDS: Final = 0.1
_RESERVE: Final = 64 << 20
_BLOB: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_OTHER: Final = "Name a repository or a revision (org/name@revision) with config.json and safetensors weights."
_LARGEST_BY_HTTP: Final[int] = getattr(constants, "MAX_HTTP_DOWNLOAD_SIZE", 50_000_000_000)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file as the hub lists it."""

    name: str
    size: int
    sha256: str
    """Empty for small files, of which the hub knows only git's hash."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be fetched."""

    commit: str
    files: tuple[RemoteFile, ...]


Progress = Callable[[Mapping[str, int]], None]
"""Bytes that are here, by file name. Called from another thread."""


def fetch(
    source: Source,
    state: Path,
    planned: Callable[[Plan], None],
    progress: Progress,
    registry: Registry,
    *,
    endpoint: str | None = None,
) -> str:
    """Fetch ``source`` (a hub repository) into the cache below ``state``; returns the commit that is there now.

    Blocks. Raises PullFailed, and ModelUnusable, before the weights are fetched, for what the engine of ``registry``
    can't serve. ``endpoint``: another hub than huggingface_hub's own (``HF_ENDPOINT``).
    """
    disable_progress_bars()  # ours is shown
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    with hub_border(source):
        info = HfApi(endpoint=endpoint).model_info(
            source.location, revision=source.revision or "main", files_metadata=True
        )
        sizes = {file.rfilename: file for file in info.siblings or ()}
        chosen = choose_files(source, str(info.sha), sizes, cache=hub_cache(state), endpoint=endpoint)
        wanted = tuple(
            RemoteFile(name, sizes[name].size or 0, lfs.sha256 if (lfs := sizes[name].lfs) else "") for name in chosen
        )
        plan = Plan(str(info.sha), wanted)
        _Fetch(source, plan, state, endpoint).run(planned, progress, registry)
    return plan.commit


def _adapter(source: Source, commit: str, cache: Path, endpoint: str | None) -> Reason:
    """With the model that it was trained on, where it says that."""
    path = hf_hub_download(source.location, ADAPTER_FILES[0], revision=commit, cache_dir=cache, endpoint=endpoint)
    try:
        return adapter_of(json.loads(Path(path).read_bytes()))
    except ValueError:
        return ADAPTER


class _Fetch:
    """One plan on its way."""

    def __init__(self, source: Source, plan: Plan, state: Path, endpoint: str | None) -> None:
        self._source, self._plan, self._state, self._endpoint = source, plan, state, endpoint
        self._home = repository_home(state, source.location)
        self._blobs: dict[str, Path] = {}
        """Where each file's bytes are put, once the hub has sent its name for them."""
        self._stopped = threading.Event()

    def run(self, planned: Callable[[Plan], None], progress: Progress, registry: Registry) -> None:
        """Fetch everything: first the files that say what the model is, then from small to large."""
        (self._home / "blobs").mkdir(parents=True, exist_ok=True)
        self._check_disk()
        planned(self._plan)
        watcher = threading.Thread(target=self._watch, args=(progress,), name="fetch-progress", daemon=True)
        watcher.start()
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch")
        try:
            kinds = [file for file in self._plan.files if file.name in KIND_FILES]
            others = [file for file in self._plan.files if file.name not in KIND_FILES]
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
        progress({file.name: file.size for file in self._plan.files})

    def _check_kind(self, registry: Registry) -> None:
        """Raises ModelUnusable for what can't be served, before many gigabytes are fetched; it is then not kept."""
        snapshot = self._home / "snapshots" / self._plan.commit
        try:
            read_kind(read_kind_files(snapshot), registry)
        except ModelUnusable:
            if not any((snapshot / file.name).exists() for file in self._plan.files if file.name not in KIND_FILES):
                remove_snapshot(self._state, self._source.location, self._plan.commit)
            raise

    def _check_disk(self) -> None:
        total = sum(file.size for file in self._plan.files)
        free, missing = shutil.disk_usage(self._home).free, total - _bytes_below(self._home / "blobs")
        if missing + _RESERVE > free:
            raise PullFailed(
                f"{self._source} needs {missing / 1e9:.1f} GB more, the disk has {free / 1e9:.1f} GB free",
                hint="Free some space, or set paths.state to a larger disk.",
                where=self._home.parent,
            )

    def _watch(self, progress: Progress) -> None:
        """Report how much is fetched. It looks at the disk, which works with every version of the library."""
        sizes = {file.name: file.size for file in self._plan.files}
        reported: Mapping[str, int] = {}
        while not self._stopped.wait(_POLL_SECONDS):
            here = {name: min(_size(blob), sizes[name]) for name, blob in dict(self._blobs).items()}
            if here != reported:
                progress(here)
                reported = here

    def _bring(self, file: RemoteFile) -> None:
        """One file into the cache."""
        repository, commit = self._source.location, self._plan.commit
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
        if revision != self._plan.commit:
            ref = self._home / "refs" / revision
            files.replace(ref, self._plan.commit, below=self._home)


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


def choose_files(
    source: Source, commit: str, names: Collection[str], *, cache: Path, endpoint: str | None
) -> tuple[str, ...]:
    """Which of a repository's files are fetched. Its index of shards is, when there is one, because it decides.

    Call it within ``hub_border``. ``cache``: where the hub's library keeps the index. Raises PullFailed for a
    repository without a model in it, with what it holds instead.
    """
    index: Any = None
    if INDEX in names:
        path = hf_hub_download(source.location, INDEX, revision=commit, cache_dir=cache, endpoint=endpoint)
        try:
            index = json.loads(Path(path).read_bytes())
        except ValueError as error:
            raise PullFailed(f"{source}: {INDEX} is not valid JSON", hint=_OTHER) from error
    try:
        chosen = needed_files(names, index if isinstance(index, dict) else None)
        weights = weight_files((name for name in names if is_plain(name)), index if isinstance(index, dict) else None)
    except ValueError as error:
        raise PullFailed(f"{source}: {INDEX} {error}", hint=_OTHER) from error
    if missing := [name for name in weights if name not in names]:
        raise PullFailed(f"{source} lacks {missing[0]}, which its {INDEX} names", hint=_OTHER)
    if not weights or "config.json" not in names:
        found = reason(names)
        if found is ADAPTER:
            found = _adapter(source, commit, cache, endpoint)
        found = found or Reason("has no safetensors weights" if not weights else "has no config.json", _OTHER)
        raise PullFailed(f"{source} {found.text}", hint=found.hint)
    return chosen


def look(repository: str, *, endpoint: str | None = None) -> Literal["there", "gated", "missing"]:
    """Ask the hub about a repository; raises PullFailed when it can't be asked."""
    source = Source("hub", repository)
    with hub_border(source):
        try:
            info = HfApi(endpoint=endpoint).model_info(repository)
        except GatedRepoError:
            return "gated"
        except RepositoryNotFoundError:
            return "missing"
    return "gated" if info.gated else "there"
