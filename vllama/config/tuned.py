"""What ``vllama tune`` found: a file for each model below the state directory, read as a part of the configuration.

Each file holds the key ``tuned`` as /etc/vllama.yaml may hold it, so it can be copied there; what stands there is
stronger. A person's own file is never written to.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from vllama import files
from vllama.config.document import Document, LineFault, read_document
from vllama.errors import StoreFailed
from vllama.models.names import parse_name

_FOLDER: Final = "tuned"
_PLAIN: Final = re.compile(r"[^A-Za-z0-9._-]+")


def tuned_file(state: Path, model: str) -> Path:
    """Where a model's settings are kept: readable, and another file for another name."""
    name = parse_name(model)
    key = name.key if name is not None else model
    return state / _FOLDER / f"{_PLAIN.sub('-', model)}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.yaml"


def read_tuned(state: Path) -> Iterable[tuple[Path, Document]]:
    """All files, by name. Unreadable files are skipped: only the service's user may read them."""
    try:
        paths = sorted((state / _FOLDER).glob("*.yaml"))
    except OSError:
        return
    for path in paths:
        try:
            document = read_document(files.read(path, below=state).decode("utf-8"))
        except PermissionError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            document = Document(findings=[LineFault(0, (), f"can't be read: {error}")])
        strangers = [key for key in document.value if key != _FOLDER]
        document.findings += [LineFault(document.lines[(key,)], (key,), "does not belong here") for key in strangers]
        yield path, document


def tuned_text(model: str, settings: Mapping[str, Any], comments: Iterable[str]) -> str:
    """A file's text: how the settings were found, and the settings as the configuration spells them."""
    lines = [f"# {comment}".rstrip() for comment in comments]
    value = yaml.safe_dump({_FOLDER: {model: dict(settings)}}, sort_keys=False, allow_unicode=True)
    return "\n".join([*lines, value])


def write_tuned(place: Path, text: str) -> None:
    """After a crash the old or the new file is there, whole. Raises StoreFailed."""
    try:
        files.replace(place, text, below=place.parent.parent, mode=0o644)  # other users may read what holds
    except OSError as error:
        raise StoreFailed(f"can't write {place}: {error.strerror or error}", hint=_owner(place.parent)) from error


def forget_tuned(place: Path) -> bool:
    """Whether there was something to forget. Raises StoreFailed."""
    try:
        files.remove(place, below=place.parent.parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreFailed(f"can't remove {place}: {error.strerror or error}", hint=_owner(place.parent)) from error
    return True


def _owner(folder: Path) -> str:
    return "" if os.geteuid() == 0 else f"{folder} is the service's own: try again with sudo."
