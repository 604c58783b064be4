"""``vllama pull``: download models."""

from __future__ import annotations

from contextlib import closing

import click

from vllama.cli import completion, output
from vllama.cli.bars import Bars
from vllama.cli.progress import progress
from vllama.cli.remote import Remote, service_options


@click.command("pull")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=completion.models_and_catalog)
@service_options
def command(*, models: tuple[str, ...], host: str) -> None:
    """Download each MODEL, or its newer version: a name of the catalogue, or a repository org/name[@revision].

    After Ctrl-C the files stay, and the next pull continues there.
    """
    remote = Remote(host)
    for model in models:
        pull(remote, model)
        output.note(f"pulled '{model}'")


def pull(remote: Remote, model: str) -> None:
    """Download one model and show the progress."""
    with progress() as show, closing(remote.follow("/api/pull", {"model": model})) as lines:
        bars = Bars(show)
        for line in lines:
            bars.line(line)
