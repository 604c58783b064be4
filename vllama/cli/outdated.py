"""``vllama outdated``: which pulled models have a newer version on the hub."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from vllama.cli import output
from vllama.cli.revisions import revisions

_SHOWN = 12
"""Characters of a commit."""


@click.command("outdated")
@click.option("--json", "as_json", is_flag=True, help="Print all pulled models as JSON.")
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file.")
def command(*, as_json: bool, file: Path | None) -> None:
    """List pulled models of which the hub has another version. 'vllama pull --all' pulls those.

    It reads the models of this machine's configuration and needs no running service.
    """
    found = revisions(file, quiet=as_json)
    if as_json:
        output.data({"models": [{**asdict(one), "outdated": one.outdated} for one in found]})
        return
    for one in found:
        if one.problem:
            output.warning(f"{one.name}: {one.problem}")
    old = [one for one in found if one.outdated]
    if old:
        rows = [[one.name, f"{one.repository}@{one.revision}", one.here[:_SHOWN], one.hub[:_SHOWN]] for one in old]
        output.table(["NAME", "REPOSITORY", "HERE", "HUB"], rows)
    elif found:
        current = sum(1 for one in found if one.hub)
        output.line(f"{current} of {len(found)} pulled models are up to date")
    else:
        output.line("no models were pulled")
