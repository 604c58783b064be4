"""Brings a model's repository from the Hugging Face hub into our cache. The only place where its errors end.

Only what vLLM needs is fetched: one set of weights (safetensors), configuration, tokenizer, chat template. A fetch that
was broken off goes on where it stopped.
"""

from __future__ import annotations

import errno
import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars

from vllama.errors import PullFailed
from vllama.models.hub import hub_cache
from vllama.models.sources import Source

Progress = Callable[[int, int], None]
"""Bytes that are here, bytes in all. Called from another thread."""

_SMALL_SUFFIXES: Final = {".json", ".jinja", ".model", ".txt", ".tiktoken"}
_OTHER_WEIGHTS: Final = ("consolidated", "adapter_")
# The library's transport (requests, httpx) changes with its versions; the root of its errors is a base of its own one.
_TRANSPORT_ERROR: Final[type[BaseException]] = next(
    base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError"
)
_POLL_SECONDS: Final = 0.3
_RESERVE: Final = 64 << 20


def needed_files(names: Iterable[str]) -> tuple[str, ...]:
    """Which files of a repository a model consists of; no weights among them means that it can't be served."""
    chosen = []
    for name in names:
        path = PurePosixPath(name)
        if len(path.parts) > 2 or path.name.startswith("."):
            continue
        nested = len(path.parts) == 2
        if path.suffix == ".safetensors":
            # the directories of sentence-transformers (2_Dense) are the only nested weights
            if (not nested or path.parts[0][:1].isdigit()) and not path.name.startswith(_OTHER_WEIGHTS):
                chosen.append(name)
        elif (
            path.suffix in _SMALL_SUFFIXES
            and (not nested or path.parts[0][:1].isdigit())
            and not path.name.endswith((".bin.index.json", ".h5.json"))
        ) or path.name.upper().split(".")[0] in {"LICENSE", "LICENCE"}:
            chosen.append(name)
    return tuple(chosen)


def fetch(source: Source, state: Path, progress: Progress, *, endpoint: str | None = None) -> Path:
    """Fetch ``source`` (a hub repository) into the cache below ``state`` and return its snapshot directory.

    Blocks. Raises PullFailed. ``endpoint``: another hub than huggingface_hub's own (``HF_ENDPOINT``).
    """
    repository, revision = source.location, source.revision or "main"
    cache = hub_cache(state)
    disable_progress_bars()  # ours is shown
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with _border(source):
        cache.mkdir(parents=True, exist_ok=True)
        info = HfApi(endpoint=endpoint).model_info(repository, revision=revision, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        chosen = needed_files(sizes)
        if not any(name.endswith(".safetensors") for name in chosen):
            raise _without_weights(source, sizes)
        total = sum(sizes[name] for name in chosen)
        home = cache / f"models--{repository.replace('/', '--')}"
        free, missing = shutil.disk_usage(cache).free, total - _here(home)
        if missing + _RESERVE > free:
            raise PullFailed(
                f"{source} needs {missing / 1e9:.1f} GB more, {cache} has {free / 1e9:.1f} GB free",
                hint="Free some space, or set paths.state to a larger disk.",
            )
        with _watched(home, total, progress):
            snapshot = snapshot_download(
                repository,
                revision=revision,
                cache_dir=cache,
                allow_patterns=list(chosen),
                endpoint=endpoint,
            )
    progress(total, total)
    return Path(snapshot)


def _without_weights(source: Source, names: Iterable[str]) -> PullFailed:
    if any(name.endswith(".gguf") for name in names):
        return PullFailed(
            f"{source} holds GGUF files, which need a plugin that vLLM does not contain",
            hint="Name the repository with the safetensors weights that they were made from.",
        )
    return PullFailed(
        f"{source} has no safetensors weights", hint="Name a repository or a revision (org/name@revision) that has."
    )


def _here(home: Path) -> int:
    """Bytes fetched so far, unfinished files included."""
    try:
        return sum(blob.stat().st_size for blob in (home / "blobs").iterdir())
    except OSError:  # not begun, or a file was just renamed
        return 0


@contextmanager
def _watched(home: Path, total: int, progress: Progress) -> Iterator[None]:
    """Tell how much is here while the block runs; the disk knows, whichever version of the library fetches."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            progress(min(_here(home), total), total)

    thread = threading.Thread(target=watch, name="fetch-progress", daemon=True)
    progress(min(_here(home), total), total)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _border(source: Source) -> Iterator[None]:
    """huggingface_hub's world ends here."""
    try:
        yield
    except GatedRepoError as error:
        raise PullFailed(
            f"{source} is gated: its owner wants terms to be accepted first",
            hint=f"Accept them at https://huggingface.co/{source.location}, then set HF_TOKEN to a token of yours.",
        ) from error
    except RepositoryNotFoundError as error:
        raise PullFailed(
            f"there is no repository {source.location}, or it is private",
            hint="Check its spelling (org/name); for a private one set HF_TOKEN.",
        ) from error
    except RevisionNotFoundError as error:
        raise PullFailed(f"{source.location} has no revision {source.revision!r}") from error
    except HFValidationError as error:
        raise PullFailed(f"{source} is no legal repository name: {error}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise _unreachable(source) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        may_not = "Set HF_TOKEN to a token that may read it."
        hint = may_not if status in {401, 403} else "Try again; what was fetched is kept."
        raise PullFailed(f"the hub answered {status} for {source}", hint=hint) from error
    except (_TRANSPORT_ERROR, OSError) as error:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise PullFailed("the disk is full", hint="Free some space; what was fetched is kept.") from error
        if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise PullFailed(f"can't write to {error.filename}: {error.strerror}") from error
        raise _unreachable(source) from error


def _unreachable(source: Source) -> PullFailed:
    return PullFailed(
        f"the hub can't be reached to fetch {source}",
        hint="Check the network (HTTPS_PROXY, HF_ENDPOINT), or give a directory with the model instead.",
    )
