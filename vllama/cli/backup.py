"""``vllama backup``: the settings of a service in one tar file."""

from __future__ import annotations

import time
from pathlib import Path

import click

from vllama import files
from vllama.cli import output
from vllama.config.archive import write_archive
from vllama.config.belongings import gather
from vllama.config.environment import environment
from vllama.config.load import load_config
from vllama.errors import BadRequest, StoreFailed


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file (/etc/vllama.yaml)."
)
def command(file: Path, config: Path | None) -> None:
    """Write the settings of the service into the tar file FILE.

    It holds the configuration, the API keys (as hashes), your catalogue files, the names and Modelfile layers of all
    models, tuned settings and measured memory. It never holds weights, nor the recorded usage: FILE lists the
    repositories to pull. Only you may read it. The service may run meanwhile.
    """
    if file.exists():
        raise BadRequest(f"{file} exists already", hint="Choose another name, or remove it first.")
    environ = environment()
    backup = gather(load_config(config, environ=environ), environ)
    try:
        files.replace(file.absolute(), write_archive(backup, now=time.time()), mode=0o600)
    except OSError as error:
        raise StoreFailed(f"can't write {file}: {error.strerror or error}") from error
    output.line(f"{file}: {len(backup.files)} files, and backup.json, which lists them")
    if backup.pull:
        output.note(f"Not in it: the weights of {', '.join(backup.pull)}. 'vllama restore' says how to pull them.")
    for name in backup.lost:
        output.warning(f"{name} was made of files that a client uploaded: keep those, no backup holds them")
