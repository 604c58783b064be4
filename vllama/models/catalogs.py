"""Reads the catalogue: the shipped file, then those of an administrator, the strongest last."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import TypeAdapter, ValidationError

from vllama.errors import ConfigError
from vllama.models.catalog import Catalog, Family, FamilyName

_SHIPPED: Final = Path(__file__).with_name("catalog.yaml")
_FAMILIES: Final = TypeAdapter(Mapping[FamilyName, Family])
# libyaml's loader where PyYAML was built with it: a fourth of the time
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_catalog(folder: Path) -> Catalog:
    """The catalogue with what ``folder/*.yaml`` changes, in the order of the files' names.

    Raises ConfigError with every finding in an administrator's files.
    """
    catalog = _shipped()
    problems: list[str] = []
    for path in sorted(_files(folder)):
        try:
            catalog = catalog.overridden(_read(path))
        except ConfigError as error:
            problems += error.problems
    problems += [f"{folder}: {fault}" for fault in catalog.faults()]
    if problems:
        raise ConfigError("the model catalogue is wrong", problems=tuple(problems))
    return catalog


@functools.cache
def _shipped() -> Catalog:
    return Catalog(_read(_SHIPPED))


def _files(folder: Path) -> Iterable[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"} and path.name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"can't read {folder}: {error.strerror or error}") from error


def _read(path: Path) -> Mapping[str, Family]:
    try:
        value: Any = yaml.load(path.read_text("utf-8"), _LOADER)  # noqa: S506 - a safe loader
        return _FAMILIES.validate_python({} if value is None else value)
    except OSError as error:
        raise ConfigError("", problems=(f"{path}: can't be read: {error.strerror or error}",)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("", problems=(f"{path}: is not UTF-8",)) from error
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f":{place.line + 1}" if place is not None else ""
        raise ConfigError("", problems=(f"{path}{line}: {getattr(error, 'problem', None) or error}",)) from error
    except ValidationError as error:
        raise ConfigError("", problems=tuple(_findings(path, error))) from error


def _findings(path: Path, error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False):
        # a tag is a variant or a word: pydantic names the one that it tried as well
        words = [word for part in problem["loc"] if re.fullmatch(r"[\w.:-]+", word := str(part)) and word != "Variant"]
        reason = problem.get("ctx", {}).get("error") or problem["msg"]
        yield f"{path}: {'.'.join(words)}: {'unknown key' if problem['type'] == 'extra_forbidden' else reason}"
