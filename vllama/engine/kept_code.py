"""Compiled code on disk: its folder, whether a start finds it, and the removal of bad and old code.

    <cache>/compiled/<engine>/          of one vLLM, torch, Python and processor; its caches can't meet others'
        vllm/ torchinductor/ triton/    what they keep
        compiled/<code>.json            what is there (``engine.compiled``)
        starts/<model>.json             how a model got its code when it was last started

Code of an engine or a model that was not started for a month is removed.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from pydantic import TypeAdapter, ValidationError

from vllama import files
from vllama.engine.compilation import ROOM, CodeStart, CompilationReport
from vllama.engine.spec import EngineSpec

_LOG = logging.getLogger("vllama.engine")
_MONTH: Final = 30 * 86_400.0


_READER: Final = TypeAdapter(CodeStart)


class CodeOwner(Protocol):
    """What decides where its code is kept (``install.capabilities.Capabilities``)."""

    @property
    def version(self) -> str:
        """vLLM's."""
        ...

    @property
    def torch(self) -> str:
        """torch's version."""
        ...

    @property
    def interpreter(self) -> str:
        """The interpreter's own version."""
        ...


def folder_of(cache: Path, engine: CodeOwner, cpu: str) -> Path:
    """Where this engine keeps code on this processor (``Hardware.cpu``)."""
    stamp = sha256(f"{engine.version} {engine.torch} {engine.interpreter} {cpu}".encode()).hexdigest()[:8]
    return cache / "compiled" / f"{engine.version}-{stamp}"


def folders_in(cache: Path) -> list[Path]:
    """Those of all engines and processors."""
    return _folders(cache / "compiled")


def remember(spec: EngineSpec, compilation: CompilationReport) -> None:
    """A start of ``spec`` has succeeded: note how it got its code. A note that can't be written is only missed."""
    if spec.keeps is None or not compilation.code:
        return
    start = CodeStart(spec.served_name, compilation.outcome, compilation.fault, time.time())
    try:
        for folder in _own(spec, compilation.folders):
            os.utime(folder)  # it was used: ``sweep`` leaves it
        files.replace(_note(spec), json.dumps(asdict(start), indent=1) + "\n")
    except OSError as error:
        _LOG.warning("can't note how %s got its code: %s", spec.name, error.strerror)


def distrust(spec: EngineSpec, compilation: CompilationReport) -> bool:
    """A start of ``spec`` died while it loaded or compiled: remove that code. Whether anything was removed."""
    if not compilation.doing or spec.keeps is None:
        return False
    found = [folder for folder in _own(spec, compilation.folders[-1:]) if folder.is_dir()]
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    _note(spec).unlink(missing_ok=True)
    return bool(found)


def starts(cache: Path) -> tuple[CodeStart, ...]:
    """The last start of each model, newest first."""
    found = sorted(filter(None, map(_read, (cache / "compiled").glob("*/starts/*.json"))), key=lambda start: start.at)
    latest = {start.model: start for start in found}
    return tuple(sorted(latest.values(), key=lambda start: -start.at))


def trouble(folder: Path) -> str:
    """Why nothing can be kept in ``folder``, which is made; empty when it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.replace(folder / "used", "")  # also says when, for ``sweep``
        free, runs = shutil.disk_usage(folder).free, can_run(folder)
    except OSError as error:
        return (error.strerror or "it can't be written").lower()
    if not runs:
        return "its file system is mounted with noexec"
    return "" if free >= ROOM else f"its disk has only {free >> 20} MiB left"


def can_run(folder: Path) -> bool:
    """Whether machine code in ``folder`` may be run, now or later; raises OSError."""
    there = next(place for place in (folder, *folder.parents) if place.is_dir())
    return not os.statvfs(there).f_flag & os.ST_NOEXEC


def sweep(cache: Path, now: float) -> None:
    """Remove what no start has used for a month; ``now``: Unix seconds."""
    for engine in _folders(cache / "compiled"):
        if _age(engine / "used", now) > _MONTH and _age(engine, now) > _MONTH:
            shutil.rmtree(engine, ignore_errors=True)
            continue
        for note in (engine / "starts").glob("*.json"):
            if _age(note, now) > _MONTH:
                note.unlink(missing_ok=True)
        graphs = engine / "vllm" / "torch_compile_cache"
        for folder in (*_folders(graphs / "torch_aot_compile"), *_folders(graphs)):
            if folder.name != "torch_aot_compile" and _age(folder, now) > _MONTH:
                shutil.rmtree(folder, ignore_errors=True)


def _note(spec: EngineSpec) -> Path:
    return (spec.keeps or Path()) / "starts" / f"{sha256(spec.served_name.encode()).hexdigest()[:16]}.json"


def _own(spec: EngineSpec, folders: tuple[str, ...]) -> Iterator[Path]:
    """Those below vLLM's folder for compiled code: their names were read from an engine's output."""
    root = (spec.keeps or Path()) / "vllm" / "torch_compile_cache"
    for folder in map(Path, folders):
        if ".." not in folder.parts and root in folder.parents and folder.name != "torch_aot_compile":
            yield folder


def _read(note: Path) -> CodeStart | None:
    try:
        return _READER.validate_json(files.read(note))
    except (OSError, ValidationError):
        return None


def _folders(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
    except OSError:
        return []


def _age(path: Path, now: float) -> float:
    with suppress(OSError):
        return now - path.stat().st_mtime
    return float("inf")
