"""What the hub is asked: which files of a repository are a model's, and what model that is.

Only what vLLM needs is chosen: one set of weights (safetensors), configuration, tokenizer, chat template.
"""

from __future__ import annotations

import json
import logging
import struct
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from huggingface_hub import HfApi, get_session, hf_hub_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status
from huggingface_hub.utils.tqdm import disable_progress_bars

from vllama.download.border import hub_border
from vllama.errors import PullFailed
from vllama.install.registry import Registry
from vllama.models.facts import read_facts
from vllama.models.files import read_files
from vllama.models.foreign import ADAPTER, Reason, adapter_of, reason
from vllama.models.layout import ADAPTER_FILES, INDEX, is_plain, needed_files, weight_files
from vllama.models.model import Facts
from vllama.models.sources import Source

_BYTES: Final = {
    **dict.fromkeys(("F64", "I64", "U64"), 8.0),
    **dict.fromkeys(("F32", "I32", "U32"), 4.0),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2.0),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 1.0),
    "F4": 0.5,
}
"""Bytes of one number of each type in safetensors files."""
_SEARCH_SECONDS: Final = 10.0
_OTHER: Final = "Name a repository or a revision (org/name@revision) with config.json and safetensors weights."


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file as the hub lists it."""

    name: str
    size: int
    sha256: str
    """Empty for small files, of which the hub knows only git's hash."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A commit of a repository, and those of its files that are fetched."""

    commit: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A repository that the hub found by a word."""

    repository: str
    parameters: int | None
    """None if the hub did not count them."""
    weights: int | None
    """Bytes."""


def search(word: str, limit: int, *, endpoint: str | None = None) -> tuple[Found, ...]:
    """Repositories with safetensors weights whose name contains ``word``, most downloads first. Raises PullFailed."""
    quieten()
    with hub_border(Source("hub", f"models for {word!r}")):
        # not by list_models, which goes on trying for half a minute where there is no hub
        answer = get_session().get(
            f"{HfApi(endpoint=endpoint).endpoint}/api/models",
            params={
                "search": word,
                "filter": "safetensors",
                "sort": "downloads",
                "limit": limit,
                "expand": ["safetensors", "downloads"],
            },
            headers=build_hf_headers(),
            timeout=_SEARCH_SECONDS,
        )
        hf_raise_for_status(answer)
        try:
            return tuple(Found(str(one["id"]), *_sizes(one.get("safetensors"))) for one in answer.json())
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            hint = "Is HF_ENDPOINT the address of a hub?"
            raise PullFailed("the hub's list of models can't be read", hint=hint) from error


def _sizes(info: Any) -> tuple[int | None, int | None]:
    """Parameters and bytes; None for a type of which we don't know the size."""
    if info is None:
        return None, None
    parts = [_BYTES.get(dtype, 0) * count for dtype, count in info["parameters"].items()]
    return info["total"], int(sum(parts)) if parts and all(parts) else None


def quieten() -> None:
    """The hub's library shows and logs nothing: we do."""
    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def snapshot_of(source: Source, cache: Path, endpoint: str | None) -> Snapshot:
    """What a revision is at the moment. Call it within ``hub_border``; raises as ``choose_files``."""
    api = HfApi(endpoint=endpoint)
    info = api.model_info(source.location, revision=source.revision or "main", files_metadata=True)
    found = {file.rfilename: file for file in info.siblings or ()}
    chosen = choose_files(source, str(info.sha), found, cache=cache, endpoint=endpoint)
    files = (RemoteFile(name, found[name].size or 0, lfs.sha256 if (lfs := found[name].lfs) else "") for name in chosen)
    return Snapshot(str(info.sha), tuple(files))


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


def describe(source: Source, registry: Registry, *, endpoint: str | None = None) -> Facts:
    """The facts of a hub repository, by a few small requests; nothing is kept.

    ``registry``: what the engine knows about models. Raises PullFailed, and ModelUnusable for what could not be served.
    ``endpoint``: another hub than huggingface_hub's own (``HF_ENDPOINT``).
    """
    quieten()
    repository, revision = source.location, source.revision or "main"
    with tempfile.TemporaryDirectory(prefix="vllama-preview-") as folder, hub_border(source):
        api = HfApi(endpoint=endpoint)
        info = api.model_info(repository, revision=revision)
        names = [file.rfilename for file in info.siblings or ()]
        chosen = choose_files(source, str(info.sha), names, cache=Path(folder) / ".cache", endpoint=endpoint)
        for name in chosen:
            if name.endswith(".safetensors"):
                _hollow(api, Source("hub", repository, str(info.sha)), name, Path(folder))
            else:
                hf_hub_download(repository, name, revision=str(info.sha), local_dir=folder, endpoint=endpoint)
        return read_facts(read_files(Path(folder)), registry)


def commit_of(source: Source, *, endpoint: str | None = None) -> str:
    """The commit that a repository's revision is now. Raises PullFailed."""
    quieten()
    with hub_border(source):
        return str(HfApi(endpoint=endpoint).model_info(source.location, revision=source.revision or "main").sha)


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


def _adapter(source: Source, commit: str, cache: Path, endpoint: str | None) -> Reason:
    """With the model that it was trained on, where it says that."""
    path = hf_hub_download(source.location, ADAPTER_FILES[0], revision=commit, cache_dir=cache, endpoint=endpoint)
    try:
        return adapter_of(json.loads(Path(path).read_bytes()))
    except ValueError:
        return ADAPTER


def _hollow(api: HfApi, source: Source, name: str, folder: Path) -> None:
    """A file with the header of the weights and a hole of their size: readers of headers need no more."""
    found = api.parse_safetensors_file_metadata(source.location, name, revision=source.revision)
    tensors = {
        key: {"dtype": one.dtype, "shape": one.shape, "data_offsets": list(one.data_offsets)}
        for key, one in found.tensors.items()
    }
    header = json.dumps(tensors).encode()
    place = folder / name
    place.parent.mkdir(exist_ok=True)
    with place.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        end = max((one.data_offsets[1] for one in found.tensors.values()), default=0)
        file.truncate(8 + len(header) + end)
