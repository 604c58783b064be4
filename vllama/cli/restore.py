"""``vllama restore``: what ``vllama backup`` wrote, back into its places."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from vllama import __version__, files
from vllama.cli import output
from vllama.config.archive import CONFIG, Backup, Kept, read_archive, write_archive
from vllama.config.belongings import Places, places, put_kept, read_kept
from vllama.config.environment import CHECKOUT, environment, shell
from vllama.config.load import DEFAULT_PATH, load_config
from vllama.config.ownership import sole_owner
from vllama.errors import BadRequest, ConfigError, StoreFailed

_LARGEST: Final = 128 << 20


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Where the configuration belongs.")
@click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
def command(file: Path, config: Path | None, *, dry_run: bool) -> None:
    """Put the files of a backup back into their places.

    Stop the service first. Files that would be overwritten are first written into another backup, next to FILE; it can
    be restored in the same way. At the end the command prints the models to pull. Files that the backup does not hold
    stay as they are.
    """
    backup = _read(file)
    environ = environment()
    here = _places(backup, config, environ)
    old = {one.name: found for one in backup.files if (found := read_kept(here, one.name)) is not None}
    changed = [one for one in backup.files if one.name not in old or old[one.name].data != one.data]
    if here.config == _tracked(environ) and config is None and any(one.name == CONFIG for one in changed):
        raise BadRequest(
            f"this would change {here.config}, which is part of the project",
            hint="Say which file is meant: --config my.yaml (then: make run CONFIG=my.yaml), "
            f"--config {DEFAULT_PATH} for the service of this machine, or --config {here.config}",
        )
    for one in backup.files:
        output.line(f"{_verb(one, old)} {here.of(one.name)}")
    if not dry_run and changed:
        _write(here, changed, [old[one.name] for one in changed if one.name in old], file)
    _print_rest(backup, dry_run=dry_run)


def _read(file: Path) -> Backup:
    try:
        return read_archive(files.read_linked(file, most=_LARGEST))
    except OSError as error:
        raise BadRequest(f"can't read {file}: {error.strerror or error}") from error


def _places(backup: Backup, config: Path | None, environ: Mapping[str, str]) -> Places:
    """The places that the backup's own configuration names. Raises ConfigError if this version can't read it."""
    target = config or _default(environ)
    content = next((one.data for one in backup.files if one.name == CONFIG), None)
    if content is None:
        return places(load_config(config, environ=environ), environ, target)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / CONFIG
        copy.write_bytes(content)
        try:
            loaded = load_config(copy, environ=environ)
        except ConfigError as error:
            raise ConfigError(
                "this version can't read the configuration of the backup; nothing was changed",
                problems=tuple(line.replace(str(copy), CONFIG) for line in error.problems),
                hint=f"vLLama {backup.version} wrote it, this is {__version__}.",
            ) from error
    return places(loaded, environ, target)


def _default(environ: Mapping[str, str]) -> Path:
    if named := environ.get("VLLAMA_CONFIG"):
        return Path(named)
    return _tracked(environ) or DEFAULT_PATH


def _tracked(environ: Mapping[str, str]) -> Path | None:
    """The configuration of the checkout that the command runs from."""
    root = environ.get(CHECKOUT)
    return Path(root) / "etc" / "vllama.yaml" if root else None


def _verb(one: Kept, old: Mapping[str, Kept]) -> str:
    if one.name not in old:
        return "new      "
    return "unchanged" if old[one.name].data == one.data else "changed  "


def _write(here: Places, changed: Sequence[Kept], overwritten: Sequence[Kept], file: Path) -> None:
    with ExitStack() as stack:
        if here.state.is_dir():
            stack.enter_context(sole_owner(here.state))  # a running service would not see what changes below it
        if overwritten:
            stamp = time.strftime("%Y%m%d-%H%M%S")
            saved = file.absolute().with_name(f"{file.stem}-overwritten-{stamp}.tar")
            earlier = Backup(tuple(overwritten), (), (), __version__)
            try:
                files.replace(saved, write_archive(earlier, now=time.time()), mode=0o600)
            except OSError as error:
                raise StoreFailed(
                    f"can't write {saved}: {error.strerror or error}; nothing was changed",
                    hint="Copy the backup into a directory with room that you may write to.",
                ) from error
            output.line(f"the files that change are kept in {saved}")
        for one in changed:
            put_kept(here, one)


def _print_rest(backup: Backup, *, dry_run: bool) -> None:
    if dry_run:
        output.line("Nothing was written (--dry-run).")
    else:
        start = "make run" if shell().checkout else "sudo systemctl start vllama"
        output.line(f"Restored. Start the service: {start}")
    if backup.pull:
        output.line("Then pull the weights:")
        for name in backup.pull:
            output.line(f"  vllama pull {name}")
    for name in backup.lost:
        output.warning(f"{name} needs files that no backup holds: create it again with 'vllama create {name}'")
