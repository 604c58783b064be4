"""The files of a service that a backup holds, and their places on this machine. Weights are pulled again instead."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllama import __version__, files
from vllama.config.archive import CATALOG, CONFIG, KEYS, STATE, Backup, Kept, belongs, state_patterns
from vllama.config.keys import keys_file
from vllama.config.load import DEFAULT_PATH, Loaded
from vllama.errors import ConfigError, ModelUnusable, StoreFailed
from vllama.models.manifest import Manifest, read_manifest
from vllama.models.names import parse_name
from vllama.models.sources import Source, parse_given

_GROUP: Final = "vllama"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files of a backup are, or will be."""

    config: Path
    keys: Path
    catalog: Path
    state: Path

    def of(self, name: str) -> Path:
        """The file that a backup calls ``name``."""
        folder, _, rest = name.partition("/")
        single = {CONFIG: self.config, KEYS: self.keys}
        return single[name] if name in single else {CATALOG: self.catalog, STATE: self.state}[folder] / rest

    def below(self, name: str) -> Path:
        """The directory in which no link is followed on the way to that file."""
        return self.state if name.startswith(f"{STATE}/") else self.of(name).parent


def places(loaded: Loaded, environ: Mapping[str, str], config: Path | None = None) -> Places:
    """``config``: where the configuration belongs, if not where ``loaded`` was read."""
    return Places(
        config=config or loaded.path or DEFAULT_PATH,
        keys=keys_file(loaded.config.server.keys_file, loaded.state, environ),
        catalog=loaded.config.paths.catalog,
        state=loaded.state,
    )


def gather(loaded: Loaded, environ: Mapping[str, str]) -> Backup:
    """Read them all. Raises ConfigError for a file that can't be read: a backup is whole or not there."""
    here = places(loaded, environ)
    kept = tuple(one for name in _names(here) if (one := read_kept(here, name)) is not None)
    manifests = [manifest for one in kept if (manifest := _manifest(one)) is not None]
    configured = [source for entry in loaded.config.models.values() if (source := parse_given(entry.source))]
    listed = {manifest.name.key for manifest in manifests}
    needed = {*(one for one in configured if not _is_listed(one, listed)), *(one.source for one in manifests)}
    return Backup(
        files=kept,
        pull=tuple(sorted(str(source) for source in needed if source.kind in {"hub", "model"})),
        lost=tuple(sorted(one.name.short for one in manifests if _is_uploaded(one))),
        version=__version__,
    )


def read_kept(here: Places, name: str) -> Kept | None:
    """The file of that name as it is on this machine; None if there is none. Raises ConfigError."""
    path, below = here.of(name), here.below(name)
    try:
        # the administrator may have made links of these, the service's user not of those in its own directory
        data = files.read(path, below=below) if below == here.state else files.read_linked(path)
        return Kept(name, data, stat.S_IMODE(path.stat().st_mode))
    except FileNotFoundError:
        return None
    except OSError as error:
        hint = "Try again with sudo." if isinstance(error, PermissionError) else ""
        raise ConfigError(f"can't read {path}: {error.strerror or error}", hint=hint) from error


def put_kept(here: Places, one: Kept) -> None:
    """Write a file into its place, whole or not at all. Raises StoreFailed."""
    path, below = here.of(one.name), here.below(one.name)
    ours = below == here.state
    try:
        files.replace(path, one.data, below=below, mode=one.mode & 0o644, group=None if ours else _group())
    except OSError as error:
        hint = "Try again with sudo." if isinstance(error, PermissionError) else "Nothing of this file was changed."
        raise StoreFailed(f"can't write {path}: {error.strerror or error}", hint=hint) from error


def _names(here: Places) -> Iterator[str]:
    yield CONFIG
    yield KEYS
    folders = ((CATALOG, here.catalog, ("*.yaml", "*.yml")), (STATE, here.state, state_patterns()))
    for title, folder, patterns in folders:
        try:
            found = [path for pattern in patterns for path in folder.glob(pattern)]
        except OSError as error:
            raise ConfigError(f"can't read {folder}: {error.strerror or error}", hint="Try again with sudo.") from error
        yield from (name for path in sorted(found) if belongs(name := f"{title}/{path.relative_to(folder)}"))


def _manifest(one: Kept) -> Manifest | None:
    if not one.name.startswith(f"{STATE}/manifests/"):
        return None
    with suppress(ModelUnusable):
        return read_manifest(one.data)
    return None


def _is_listed(source: Source, listed: set[str]) -> bool:
    """Whether a manifest says where the files are."""
    name = parse_name(source.location) if source.kind == "model" else None
    return name is not None and name.key in listed


def _is_uploaded(manifest: Manifest) -> bool:
    return manifest.source.kind == "files" or bool(manifest.adapter)


def _group() -> int | None:
    """The service's group, which may read the configuration and the keys."""
    if os.geteuid() == 0:
        with suppress(KeyError):  # a machine without it
            return grp.getgrnam(_GROUP).gr_gid
    return None
