"""Brings a model's repository from the Hugging Face hub into our cache. The only place where its errors end.

Only what vLLM needs is fetched: one set of weights (safetensors), configuration, tokenizer, chat template. The hub's
library moves the bytes and keeps its cache; ours is that a file goes on where it stopped (the library of today throws
halves away), and that its checksum is looked at. Runs in a process of its own: ``models.transfer`` starts and ends it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import re
import shutil
import stat
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers
from huggingface_hub.utils.tqdm import disable_progress_bars

from vllama import files
from vllama.errors import PullFailed
from vllama.models.choosing import ADAPTER_FILES, INDEX, is_plain, needed_files, weight_files
from vllama.models.foreign import ADAPTER, Reason, adapter_of, reason
from vllama.models.hub import hub_cache, repository_home
from vllama.models.sources import Source

_CHUNK: Final = 128 << 10
"""What is lost at most when a transfer breaks, and how finely progress is seen; the library itself takes 10 MB."""
_AT_ONCE: Final = 4
_POLL_SECONDS: Final = 0.1
_RESERVE: Final = 64 << 20
_BLOB: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_OTHER: Final = "Name a repository or a revision (org/name@revision) with config.json and safetensors weights."
_GGUF_TAG: Final = re.compile(r"(?:UD-)?(?:I?Q\d|TQ\d|BF16|F16|F32|MXFP4)[A-Z0-9_]*", re.IGNORECASE)
_KEPT: Final = "; what was fetched is kept"
_LARGEST_BY_HTTP: Final[int] = getattr(constants, "MAX_HTTP_DOWNLOAD_SIZE", 50_000_000_000)
# The library's transport (requests, httpx) changes with its versions; the root of its errors is a base of its own one.
_TRANSPORT_ERROR: Final[type[BaseException]] = next(
    base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError"
)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file as the hub tells it."""

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
    *,
    endpoint: str | None = None,
) -> str:
    """Fetch ``source`` (a hub repository) into the cache below ``state``; returns the commit that is there now.

    Blocks. Raises PullFailed. ``endpoint``: another hub than huggingface_hub's own (``HF_ENDPOINT``).
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
        _Fetch(source, plan, state, endpoint).run(planned, progress)
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
        self._source, self._plan, self._endpoint = source, plan, endpoint
        self._home = repository_home(state, source.location)
        self._blobs: dict[str, Path] = {}
        """Where each file's bytes are put, once the hub has told its name for them."""
        self._stopped = threading.Event()

    def run(self, planned: Callable[[Plan], None], progress: Progress) -> None:
        """Bring everything; the small files come first, so that what is wrong with a repository shows early."""
        (self._home / "blobs").mkdir(parents=True, exist_ok=True)
        self._check_disk()
        planned(self._plan)
        watcher = threading.Thread(target=self._watch, args=(progress,), name="fetch-progress", daemon=True)
        watcher.start()
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch")
        try:
            for _ in pool.map(self._bring, sorted(self._plan.files, key=lambda file: file.size)):
                pass  # an error of any file ends all
        finally:
            self._stopped.set()
            watcher.join()
            pool.shutdown(cancel_futures=True)
        self._point_revision()
        progress({file.name: file.size for file in self._plan.files})

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
        """Tell how much is here; the disk knows, whichever version of the library fetches."""
        sizes = {file.name: file.size for file in self._plan.files}
        told: Mapping[str, int] = {}
        while not self._stopped.wait(_POLL_SECONDS):
            here = {name: min(_size(blob), sizes[name]) for name, blob in dict(self._blobs).items()}
            if here != told:
                progress(here)
                told = here

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
                except _TRANSPORT_ERROR:
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


@contextmanager
def hub_border(source: Source, *, fetching: bool = False) -> Iterator[None]:
    """huggingface_hub's world ends here. ``fetching``: files are on their way, and what came of them stays."""
    try:
        yield
    except GatedRepoError as error:
        raise PullFailed(
            f"{source} is gated: its owner wants terms to be accepted first",
            hint=f"Accept them at https://huggingface.co/{source.location}, then set HF_TOKEN to a token of yours.",
            code="pull_gated",
        ) from error
    except RepositoryNotFoundError as error:
        raise PullFailed(
            f"there is no repository {source.location}, or it is private",
            hint="Check its spelling (org/name); for a private one set HF_TOKEN.",
            code="pull_unknown",
        ) from error
    except RevisionNotFoundError as error:
        raise _no_revision(source) from error
    except HFValidationError as error:
        raise PullFailed(f"{source} is no legal repository name: {error}") from error
    except OfflineModeIsEnabled as error:
        raise PullFailed(
            f"{source} can't be fetched: the hub's library is in offline mode",
            hint="Unset HF_HUB_OFFLINE, or give a directory with the model instead.",
        ) from error
    except LocalEntryNotFoundError as error:
        raise _unreachable(source, fetching=fetching) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        may_not = "Set HF_TOKEN to a token that may read it."
        hint = may_not if status in {401, 403} else f"Try again{_KEPT if fetching else ''}."
        raise PullFailed(f"the hub answered {status} for {source}", hint=hint) from error
    except (_TRANSPORT_ERROR, OSError) as error:
        raise _disk_trouble(error) or _unreachable(source, fetching=fetching) from error


def _no_revision(source: Source) -> PullFailed:
    """Ollama pulls one of several GGUF files by such a tag."""
    text = f"{source.location} has no revision {source.revision!r}"
    if not _GGUF_TAG.fullmatch(source.revision):
        return PullFailed(text, code="pull_unknown")
    return PullFailed(
        f"{text}: that is a quantisation of GGUF files, which need a plugin that vLLM does not contain",
        hint="Leave the tag out and name a repository with safetensors weights: the original, an AWQ, GPTQ or FP8 one.",
        code="pull_gguf",
    )


def _disk_trouble(error: Any) -> PullFailed | None:
    number = getattr(error, "errno", None)
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return PullFailed("the disk is full: no space left on device", hint=f"Free some{_KEPT}.")
    if number in {errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR}:
        return PullFailed(f"the model store can't be written: {error.strerror}", where=str(error.filename))
    return None


def _unreachable(source: Source, *, fetching: bool) -> PullFailed:
    return PullFailed(
        f"the hub can't be reached to fetch {source}",
        hint="Check the network (HTTPS_PROXY, HF_ENDPOINT), or give a directory with the model instead"
        f"{_KEPT if fetching else ''}.",
    )


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
