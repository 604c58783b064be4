"""``vllama pull``: download models."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from vllama.cli import completion, output
from vllama.cli.bars import Bars
from vllama.cli.progress import progress
from vllama.cli.remote import Remote, service_options


@click.command("pull")
@click.argument("models", nargs=-1, metavar="[MODEL]...", shell_complete=completion.models_and_catalog)
@click.option("--all", "everything", is_flag=True, help="Pull all models of which the hub has another version.")
@click.option("--dry-run", is_flag=True, help="With --all: only print their names.")
@click.option(
    "--config", "file", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file (with --all)."
)
@service_options
def command(*, models: tuple[str, ...], everything: bool, dry_run: bool, file: Path | None, host: str) -> None:
    """Download each MODEL, or its newer version: a name of the catalogue, or a repository org/name[@revision].

    After Ctrl-C the files stay, and the next pull continues there.
    """
    if bool(models) == everything:
        raise click.UsageError("give models, or --all")
    if dry_run and not everything:
        raise click.UsageError("--dry-run needs --all")
    if everything:
        models = _outdated(file)
    if dry_run:
        for model in models:
            output.line(model)
        return
    remote = Remote(host)
    for model in models:
        pull(remote, model)
        output.note(f"pulled '{model}'")


def _outdated(file: Path | None) -> tuple[str, ...]:
    """Names of pulled models that have changed on the hub."""
    # it reads the configuration, which takes longer than a pull's own start
    from vllama.cli.revisions import revisions  # noqa: PLC0415

    found = revisions(file, quiet=False)
    for one in found:
        if one.problem:
            output.warning(f"{one.name}: {one.problem}")
    names = tuple(one.name for one in found if one.outdated)
    if not names:
        output.note("all pulled models are up to date")
    return names


def pull(remote: Remote, model: str) -> None:
    """Download one model and show the progress."""
    with progress() as show, closing(remote.follow("/api/pull", {"model": model})) as lines:
        bars = Bars(show)
        for line in lines:
            bars.line(line)
