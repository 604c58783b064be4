"""The API key that the command sends to the service: from ``--key-file``, else from ``VLLAMA_API_KEY``."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from vllama.cli import output
from vllama.config.environment import shell
from vllama.errors import BadRequest

VARIABLE: Final = "VLLAMA_API_KEY"
HOW: Final = f"Set {VARIABLE}, or give --key-file FILE. On the server 'vllama keys add NAME' makes a key."
_META: Final = "vllama.credential"
_LARGEST: Final = 4096
"""Bytes; a key has 50."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One key, and where it came from."""

    key: str = ""
    """Empty: none is sent."""
    origin: str = VARIABLE


def remember(context: click.Context, _parameter: click.Parameter, file: Path | None) -> None:
    """The callback of ``--key-file``: ``sent_by`` finds the key later. Raises BadRequest."""
    if file is not None and not context.resilient_parsing:
        context.meta[_META] = read_key(file)


def sent_by(context: click.Context | None) -> Credential:
    """The key that this command sends. Raises BadRequest for one that no header can hold."""
    found = context.meta.get(_META) if context is not None else None
    return found if isinstance(found, Credential) else _checked(Credential(shell().api_key))


def read_key(file: Path) -> Credential:
    """The key in a file; prints a warning if other users can read it. Raises BadRequest."""
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            data = opened.read(_LARGEST + 1)
    except OSError as error:
        raise BadRequest(f"can't read the key in {file}: {error.strerror or error}") from error
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        output.warning(f"other users can read the key in {file}: chmod o-r {file}")
    words = data.decode("utf-8", "replace").split()
    if len(words) != 1 or len(data) > _LARGEST:
        raise BadRequest(f"{file} must hold one API key and nothing else", hint="'vllama keys add NAME' makes one.")
    return _checked(Credential(words[0], str(file)))


def _checked(credential: Credential) -> Credential:
    if not credential.key.isascii() or (not credential.key.isprintable() and credential.key):
        raise BadRequest(f"the key in {credential.origin} has characters that no API key has")
    return credential
