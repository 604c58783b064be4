"""Reads the small files of a model: JSON as Python reads it, because Python wrote it and vLLM reads it so."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, Final

import orjson

from vllama.errors import ModelUnusable

AGAIN: Final = "Fetch it again, or remove the directory."
_READABLE: Final = "Let the service's user read it (chmod, chown)."
_LARGEST: Final = 256 << 20
_POINTER: Final = b"version https://git-lfs"
_POINTER_BYTES: Final = 1024


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises ModelUnusable."""
    found = read_json(path)
    if isinstance(found, dict):
        return found
    raise ModelUnusable(f"{path.name} does not hold a JSON object", hint=AGAIN, where=path.parent)


def read_json(path: Path) -> Any:
    """The JSON value in a file, bare ``NaN`` and ``Infinity`` included; raises ModelUnusable."""
    data = read_bytes(path)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass  # either broken, or something that only Python's own reader accepts
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ModelUnusable(f"{path.name} is not UTF-8", hint=AGAIN, where=path.parent) from error
    except json.JSONDecodeError as error:
        hint = AGAIN
        if data.startswith(b"\xef\xbb\xbf"):
            hint = "Save it as UTF-8 without a byte order mark."
        text = f"{path.name} is not valid JSON: {error.msg} (line {error.lineno})"
        raise ModelUnusable(text, hint=hint, where=path.parent) from error
    except RecursionError as error:
        raise ModelUnusable(f"{path.name} is nested too deeply", hint=AGAIN, where=path.parent) from error


def read_bytes(path: Path) -> bytes:
    """The contents of an ordinary file of bounded size; raises ModelUnusable."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ModelUnusable(f"{path.name} is not an ordinary file", hint=AGAIN, where=path.parent)
        if found.st_size > _LARGEST:
            raise ModelUnusable(f"{path.name} is larger than {_LARGEST >> 20} MiB", hint=AGAIN, where=path.parent)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelUnusable(f"{path.name} is missing", hint=AGAIN, where=path.parent) from error
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> ModelUnusable:
    """A file or directory of a model that the system doesn't let us read."""
    return ModelUnusable(f"{path.name} can't be read: {error.strerror}", hint=_READABLE, where=path.parent)


def is_pointer(path: Path) -> bool:
    """Whether git cloned a note about the file in its place (git-LFS)."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _POINTER_BYTES:
            return False
        with path.open("rb") as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False
