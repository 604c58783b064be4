"""What a repository of the hub is, before it is pulled: small files whole, of the weights only their headers."""

from __future__ import annotations

import json
import logging
import struct
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.utils.tqdm import disable_progress_bars

from vllama.download.border import hub_border
from vllama.download.cache import choose_files
from vllama.install.registry import Registry
from vllama.models.facts import read_facts
from vllama.models.files import read_files
from vllama.models.model import Facts
from vllama.models.sources import Source


def preview(source: Source, registry: Registry, *, endpoint: str | None = None) -> Facts:
    """The facts of a hub repository, by a few small requests; nothing is kept.

    ``registry``: what the engine knows about models. Raises PullFailed, and ModelUnusable for what could not be served.
    ``endpoint``: another hub than huggingface_hub's
    own (``HF_ENDPOINT``).
    """
    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
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
