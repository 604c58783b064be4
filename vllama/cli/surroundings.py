"""How a configuration fits this machine. ``vllama config check`` reports what does not; the service starts anyway.

A directory may be mounted later and a model pulled later, so that none of this keeps the service from starting: the
model concerned is refused with the same reason when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from vllama.config.directories import resolve_directories
from vllama.config.document import KeyPath
from vllama.config.faults import suggestion
from vllama.config.load import DEFAULT_PATH, Loaded
from vllama.config.schema import Config, Settings
from vllama.engine.command import wrong_flags
from vllama.errors import ConfigError, EngineNotInstalled, Problem, StoreFailed
from vllama.install.capabilities import Capabilities
from vllama.install.engines import locate
from vllama.models.catalogs import read_catalog
from vllama.models.library import Library
from vllama.models.sources import parse_given
from vllama.service.absent import Absent, absent_models
from vllama.service.stock import open_store

_NOWHERE: Final = Path(os.devnull)


class Findings(NamedTuple):
    """By their place in the file."""

    problems: tuple[Problem, ...]
    """For ``ConfigError``; empty when all fits."""
    unpulled: tuple[Problem, ...]
    """Models that can be pulled: no fault of the file."""


def compare(loaded: Loaded) -> Findings:
    """Compare the configuration with this machine.

    Flags of the engine are held against the installed one; without one they are not looked at. An interpreter that
    ``engine.python`` names is asked for that (8-18 s the first time), and only if there are flags.
    """
    if loaded.path == DEFAULT_PATH:  # the service's file: its directories are meant, whatever user runs this
        loaded = replace(loaded, directories=resolve_directories(loaded.config, {}, uid=0))
    try:
        absent, faults = list(_models(loaded)), []
    except ConfigError as error:  # the catalogue's files
        absent, faults = [], [(("paths", "catalog"), problem) for problem in error.problems]
    missing = [(one.key, str(one)) for one in absent if not one.pull]
    unpulled = [(one.key, str(one)) for one in absent if one.pull]
    return Findings(
        _placed([*_interpreter(loaded), *faults, *missing, *_flags(loaded)], loaded), _placed(unpulled, loaded)
    )


def _placed(found: Iterable[tuple[KeyPath, str]], loaded: Loaded) -> tuple[Problem, ...]:
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


def _models(loaded: Loaded) -> Iterator[Absent]:
    """Raises ConfigError when the catalogue's files are wrong."""
    try:
        library = Library(loaded.state)
    except StoreFailed:  # the service's, and not ours to read: what was pulled can't be known
        library = None
    store = open_store(loaded, library=library or Library(_NOWHERE))
    directories = {text for text, entry in loaded.config.models.items() if _is_directory(entry.source)}
    for one in absent_models(loaded, store, read_catalog(loaded.config.paths.catalog)):
        if library is not None or (one.key[0] == "models" and one.key[1] in directories):
            yield one


def _is_directory(text: str) -> bool:
    source = parse_given(text)
    return source is not None and source.kind == "directory"


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
