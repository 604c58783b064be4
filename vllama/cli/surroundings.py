"""What a configuration names but this machine lacks. ``vllama config check`` reports it; the service starts anyway.

A directory may be mounted later and a model pulled later, so that none of this keeps the service from starting: the
model concerned is refused with the same reason when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from vllama.config.directories import resolve_directories
from vllama.config.document import KeyPath
from vllama.config.faults import suggestion
from vllama.config.load import DEFAULT_PATH, Loaded
from vllama.config.schema import Config, Settings
from vllama.engine.command import wrong_flags
from vllama.errors import EngineNotInstalled, Problem, StoreFailed
from vllama.install.capabilities import Capabilities
from vllama.install.engines import locate
from vllama.models.library import Library
from vllama.models.names import parse_name
from vllama.models.sources import BUILTIN, parse_source
from vllama.service.stock import open_store

_NOWHERE: Final = Path(os.devnull)


def missing_things(loaded: Loaded) -> tuple[Problem, ...]:
    """Findings for ``ConfigError``, by their place in the file; empty when all is there.

    Flags of the engine are held against the installed one; without one they are not looked at. An interpreter that
    ``engine.python`` names is asked for that (8-18 s the first time), and only if there are flags.
    """
    if loaded.path == DEFAULT_PATH:  # the service's file: its directories are meant, whatever user runs this
        loaded = replace(loaded, directories=resolve_directories(loaded.config, {}, uid=0))
    found = [*_interpreter(loaded), *_models(loaded), *_flags(loaded)]
    placed = [Problem(message, ".".join(key), loaded.origin_of(key)) for key, message in found]
    return tuple(sorted(placed, key=lambda one: _place(one.where)))


def _place(origin: str) -> tuple[str, int]:
    """``FILE:LINE`` so that it sorts by line."""
    file, _, line = origin.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (origin, 0)


def _interpreter(loaded: Loaded) -> Iterator[tuple[KeyPath, str]]:
    python = loaded.config.engine.python
    if python is not None and not (python.is_file() and os.access(python, os.X_OK)):
        yield ("engine", "python"), f"there is no interpreter {str(python)!r}"


def _models(loaded: Loaded) -> Iterator[tuple[KeyPath, str]]:
    config, state = loaded.config, loaded.state
    try:
        library = Library(state)
    except StoreFailed:  # the service's, and not ours to read: what was pulled can't be known
        library = None
    store = open_store(loaded, library=library or Library(_NOWHERE))
    for text, entry in config.models.items():
        source, name = parse_source(entry.source), parse_name(text)
        problem = store.problem(name) if name is not None else None
        if problem is not None and source is not None and source.kind == "directory":
            gguf = source.location.endswith(".gguf")
            reason = "GGUF files can't be served; name the repository with the safetensors files"
            yield ("models", text, "source"), reason if gguf else problem.detail
    if library is None:
        return
    known = {name.key for text in config.models if (name := parse_name(text)) is not None} | {*library.all()}
    known |= {name.key for text in BUILTIN if (name := parse_name(text)) is not None}
    for number, text in enumerate(config.preload):
        name = parse_name(text)
        if name is not None and name.key not in known:
            words = f"there is no model {text!r}: it is not configured, and was not pulled into {state}"
            near = [parsed.short.removesuffix(":latest") for key in known if (parsed := parse_name(key)) is not None]
            yield ("preload", str(number)), words + suggestion(text, near)


def _flags(loaded: Loaded) -> Iterator[tuple[KeyPath, str]]:
    written = [(key, settings.extra_args) for key, settings in _settings(loaded.config) if settings.extra_args]
    engine = _engine(loaded) if written else None
    if engine is None:
        return
    for key, arguments in written:
        for problem in wrong_flags(arguments, engine):
            flag = problem.split()[-1]
            near = suggestion(flag, engine.flags) if flag not in engine.flags else ""
            yield (*key, "extra_args"), problem + near


def _engine(loaded: Loaded) -> Capabilities | None:
    try:
        return locate(loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache)
    except EngineNotInstalled:
        return None


def _settings(config: Config) -> Iterator[tuple[KeyPath, Settings]]:
    """Every place of the file that may hold settings."""
    for size, profile in config.profiles.items():
        yield ("profiles", size), profile
        for gpu, overlay in profile.gpu.items():
            yield ("profiles", size, "gpu", gpu), overlay
    for name, entry in config.models.items():
        yield ("models", name, "settings"), entry.settings
    for name, tuned in config.tuned.items():
        yield ("tuned", name), tuned
