"""``vllama create``: make a model from a Modelfile, which is read here. As in Ollama, the service never sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from vllama import child
from vllama.cli import output
from vllama.cli.bars import Bars
from vllama.cli.progress import Show, progress
from vllama.cli.remote import Remote, service_options
from vllama.errors import BadRequest, NotFound
from vllama.models.foreign import Reason, reason
from vllama.models.layout import ADAPTER_FILES, INDEX, is_plain, needed_files, weight_files
from vllama.models.modelfile import Modelfile, parse_modelfile
from vllama.models.modeljson import is_pointer, read_object
from vllama.models.parameters import IDLE


@click.command("create")
@click.argument("model")
@click.option("-f", "--file", "file", type=click.Path(path_type=Path), help="The Modelfile [default: ./Modelfile].")
@click.option(
    "-q", "--quantize", default="", help="Refused: vLLM serves weights as they are, or quantizes while loading."
)
@service_options
def command(*, model: str, file: Path | None, quantize: str, host: str) -> None:
    """Make MODEL from a Modelfile: a base with SYSTEM, PARAMETER, MESSAGE, TEMPLATE, LICENSE, ADAPTER.

    FROM names a model, a repository (org/name) or a directory with safetensors weights. Models of one base share its
    engine.
    """
    path = file if file is not None else Path("Modelfile")
    modelfile = parse_modelfile(_read(path))
    remote = Remote(host)
    with progress() as show:
        body = {"model": model, **modelfile.request(), **_sources(modelfile, path.absolute().parent, remote, show)}
        if quantize:
            body["quantize"] = quantize
        with closing(remote.follow("/api/create", body)) as lines:
            bars = Bars(show)
            for line in lines:
                bars.line(line)
    for name in filter(IDLE.__contains__, modelfile.parameters):
        output.warning(f"PARAMETER {name} has no effect: {IDLE[name]}")
    for name in modelfile.dropped:
        output.warning(f"PARAMETER {name} is left out: neither vLLM nor a current Ollama uses it")
    output.note(f"created '{model}'")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"can't read {path}: {error.strerror}", hint="Name the Modelfile: vllama create NAME -f FILE"
        ) from error


def _sources(modelfile: Modelfile, folder: Path, remote: Remote, show: Show) -> dict[str, Any]:
    """``from`` or ``files``, and ``adapters``; what is on this machine is uploaded."""
    if len(modelfile.base) > 1:
        raise BadRequest("the Modelfile has more than one FROM", hint="Give one directory with all files of the model.")
    if "draft" in modelfile.others:
        raise BadRequest("vLLM can't use DRAFT", hint="Set settings.speculative of the model in the configuration.")
    base = modelfile.base[0]
    place = _local(base, folder)
    if place is None:
        found: dict[str, Any] = {"from": base}
    else:
        found = {"files": _upload(place, _model_files(place), remote, show)}
    if len(modelfile.adapters) > 1:
        raise BadRequest("only one adapter is currently supported")
    for adapter in modelfile.adapters:
        place = _local(adapter, folder)
        if place is None:
            raise NotFound(
                f"there is no directory {adapter}",
                hint="ADAPTER must name a directory that PEFT's save_pretrained wrote.",
            )
        found["adapters"] = _upload(place, ADAPTER_FILES, remote, show)
    return found


def _local(text: str, folder: Path) -> Path | None:
    """The directory that FROM or ADAPTER means; None for a model's name."""
    place = folder / Path(text).expanduser()
    if place.is_dir():
        child.become_owner(place)  # through a link in it, root could upload files of other users
        return place
    if place.is_file():
        if place.suffix == ".gguf":
            raise BadRequest(
                f"{text}: GGUF needs a plugin that vLLM does not contain",
                hint="Use the directory or repository with the safetensors weights that it was made from.",
            )
        raise BadRequest(f"{text} is a file", hint="Name the directory that holds it.")
    if text.startswith(("/", "./", "../", "~")):
        raise NotFound(f"there is no directory {text}")
    return None


def _model_files(place: Path) -> tuple[str, ...]:
    """The files of the model in a directory; says what is there instead before anything is uploaded."""
    names = {str(path.relative_to(place)) for path in _below(place)}
    index = read_object(place / INDEX) if INDEX in names else None
    try:
        needed, weights = needed_files(sorted(names), index), weight_files(filter(is_plain, names), index)
    except ValueError as error:
        raise BadRequest(f"{place / INDEX} {error}", hint="Download the model again.") from error
    if not weights or "config.json" not in names:
        other = reason(names) or Reason(f"has no {'config.json' if weights else 'safetensors weights'}")
        raise BadRequest(f"{place} {other.text}", hint=other.hint)
    if pointers := [name for name in needed if is_pointer(place / name)]:
        raise BadRequest(
            f"{place / pointers[0]} is a git-LFS pointer, not the file itself", hint=f"git -C {place} lfs pull"
        )
    return needed


def _below(place: Path) -> Iterable[Path]:
    return sorted(path for pattern in ("*", "*/*") for path in place.glob(pattern) if path.is_file())


def _upload(place: Path, names: Iterable[str], remote: Remote, show: Show) -> dict[str, str]:
    """Make sure that the service has these files; returns their digests by name."""
    digests = {}
    for name in names:
        path = place / name
        try:
            size = path.stat().st_size
            show.status(f"reading {name}")
            digest = f"sha256:{_sha256(path)}"
            show.status("")
            if not remote.has(f"/api/blobs/{digest}", method="HEAD"):
                bar = show.bar(f"uploading {name}", total=size, unit="bytes")
                with path.open("rb") as file:
                    remote.upload(f"/api/blobs/{digest}", file, size, bar.update)
                bar.finish()
        except OSError as error:
            raise NotFound(f"can't read {path}: {error.strerror}") from error
        digests[name] = digest
    return digests


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
