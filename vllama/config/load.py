"""Reads the configuration once: flags over environment over file over defaults, each value with its origin.

``environ`` comes from ``config.environment``. YAML's and pydantic's findings end here as one ConfigError
that holds all of them, each ``where: key: what is wrong``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from vllama.config.checks import check_parameters, check_references
from vllama.config.directories import Directories, resolve_directories
from vllama.config.document import Document, KeyPath, LineFault, read_document
from vllama.config.environment import CHECKOUT
from vllama.config.faults import explain
from vllama.config.schema import Config, value_path
from vllama.config.tuned import read_tuned
from vllama.config.variables import from_environment
from vllama.errors import ConfigError, Problem
from vllama.models.names import parse_name

DEFAULT_PATH: Final = Path("/etc/vllama.yaml")
_LARGEST_FILE: Final = 4 << 20
_HINT: Final = "'vllama config check' reads the file again, 'vllama config schema' lists every key."


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, where its values come from, and the directories that follow from it."""

    config: Config
    path: Path | None
    """The file that was read; None when there was none."""
    directories: Directories
    origins: Mapping[KeyPath, str] = field(default_factory=dict)
    """Of every value that is not a default."""

    @property
    def state(self) -> Path:
        """Downloaded models."""
        return self.directories.state

    @property
    def cache(self) -> Path:
        """What vLLM compiles."""
        return self.directories.cache

    @property
    def runtime(self) -> Path:
        """Unix sockets; short enough for them."""
        return self.directories.runtime

    @property
    def engine_prefix(self) -> Path:
        """Where engines are installed."""
        return self.directories.engine_prefix

    def origin_of(self, key: str | KeyPath) -> str:
        """``default``, ``FILE:LINE``, ``environment NAME`` or ``flag``.

        A key within a value that was given whole (an entry of a list) has that value's origin; one that its section
        does not hold is a default.
        """
        path = tuple(key.split(".")) if isinstance(key, str) else key
        if path in self.origins:
            return self.origins[path]
        whole = value_path(self.config, path)
        while len(path) > len(whole):
            path = path[:-1]
            if path in self.origins:
                return self.origins[path]
        return "default"


def load_config(path: Path | None, *, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Loaded:
    """Read the configuration or raise ConfigError with every problem.

    ``path``: the file named on the command line; None: ``VLLAMA_CONFIG``, else the checkout's own where the code runs
    from one, else ``/etc/vllama.yaml`` if it is there.
    ``flags``: values by dotted key path (``server.port``); None means that the flag was not given.
    """
    if path is None and environ.get("VLLAMA_CONFIG"):
        path = Path(environ["VLLAMA_CONFIG"])
    if path is None and environ.get(CHECKOUT):
        path = Path(environ[CHECKOUT]) / "etc" / "vllama.yaml"
    if path is None and DEFAULT_PATH.is_file():
        path = DEFAULT_PATH
    document = Document() if path is None else _read_file(path)
    values, origins = document.value, {key: f"{path}:{line}" for key, line in document.lines.items()}
    for name, found in from_environment(environ):
        for key, value in found.items():
            _put(values, origins, key, value, f"environment {name}")
    for dotted, value in (flags or {}).items():
        if value is not None:
            _put(values, origins, tuple(dotted.split(".")), value, "flag")
    config = _validate(values, document.findings)
    if config is not None and not document.findings:
        directories = resolve_directories(config, environ, uid=os.geteuid())
        config = _with_tuned(directories.state, values, origins) or config
    for check in (check_references, check_parameters):
        document.findings.extend(LineFault(0, key, message) for key, message in check(values))
    if config is None or document.findings:
        raise ConfigError(
            f"the configuration is wrong: {path}" if path else "the configuration is wrong",
            problems=tuple(_problem(finding, path, origins) for finding in _in_order(document, origins)),
            hint=_HINT,
        )
    return Loaded(config, path, resolve_directories(config, environ, uid=os.geteuid()), origins)


def _read_file(path: Path) -> Document:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration file {path}") from None
    except OSError as error:
        advice = (
            f"Let every user read it: sudo chmod 644 {path}. If it holds a secret, let only root and the service: "
            f"sudo chown root:vllama {path}; sudo chmod 640 {path}, and use sudo here"
        )
        hint = advice if isinstance(error, PermissionError) else ""
        raise ConfigError(f"can't read the configuration file {path}: {error.strerror or error}", hint=hint) from error
    if len(data) > _LARGEST_FILE:
        raise ConfigError(f"the configuration file {path} is larger than {_LARGEST_FILE >> 20} MiB")
    try:
        return read_document(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"the configuration is wrong: {path}",
            problems=(Problem(f"is not UTF-8 (byte 0x{data[error.start]:02x})", where=f"{path}:{line}"),),
            hint="Save the file as UTF-8.",
        ) from error


def _with_tuned(state: Path, values: dict[str, Any], origins: dict[KeyPath, str]) -> Config | None:
    """The configuration with what ``vllama tune`` kept; None where that is nothing. Raises ConfigError."""
    problems: list[Problem] = []
    own = {name.key for text in values.get("tuned") or {} if (name := parse_name(text)) is not None}
    changed = False
    for path, document in read_tuned(state):
        lines = {key: f"{path}:{line}" for key, line in document.lines.items()}
        _validate(document.value, document.findings)
        problems += [_problem(finding, path, lines) for finding in _in_order(document, lines)]
        for model, settings in ({} if document.findings else document.value.get("tuned") or {}).items():
            if (name := parse_name(model)) is not None and name.key not in own:
                _put(values, origins, ("tuned", model), settings, str(path))
                origins.update({key: line for key, line in lines.items() if key[:2] == ("tuned", model)})
                changed = True
    if problems:
        raise ConfigError(
            "the settings that vllama tune kept are wrong",
            problems=tuple(problems),
            hint="Remove the file, or run vllama tune again.",
        )
    return Config.model_validate(values) if changed else None


def _put(values: dict[str, Any], origins: dict[KeyPath, str], key: KeyPath, value: Any, origin: str) -> None:
    """Set one value of a stronger layer, making the sections on the way."""
    section = values
    for part in key[:-1]:
        inner = section.get(part)
        if not isinstance(inner, dict):
            if inner is not None:  # the file has something else there: validation reports it
                return
            inner = section[part] = {}
        section = inner
    section[key[-1]] = value
    for stale in [known for known in origins if known[: len(key)] == key]:
        del origins[stale]
    origins[key] = origin


def _validate(values: dict[str, Any], findings: list[LineFault]) -> Config | None:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        known = {finding.key for finding in findings if finding.key}
        for problem in error.errors(include_url=False):
            key, message = explain(problem)
            if key not in known:
                findings.append(LineFault(0, key, message))
        return None


def _in_order(document: Document, origins: Mapping[KeyPath, str]) -> list[LineFault]:
    """By line, so that a person can walk through the file; what has no line comes last."""
    placed = []
    for finding in document.findings:
        key = _nearest(finding.key, origins)
        from_file = key in document.lines and not origins[key].startswith(("environment", "flag"))
        placed.append(
            LineFault(finding.line or (document.lines[key] if from_file else 0), finding.key, finding.message)
        )
    return sorted(placed, key=lambda finding: finding.line or 1 << 60)


def _nearest(key: KeyPath, known: Mapping[KeyPath, str]) -> KeyPath:
    """``key``, or the innermost section around it that the file or another layer sets."""
    while key and key not in known:
        key = key[:-1]
    return key


def _problem(finding: LineFault, path: Path | None, origins: Mapping[KeyPath, str]) -> Problem:
    if finding.line:
        where = f"{path}:{finding.line}"
    else:
        where = origins.get(_nearest(finding.key, origins), str(path) if path else "the configuration")
    return Problem(finding.message, ".".join(finding.key), where)
