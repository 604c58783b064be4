"""``vllama cp``: give a model a second name."""

from __future__ import annotations

import click

from vllama.cli import completion, output
from vllama.cli.remote import Refused, Remote, service_options
from vllama.errors import NotFound


@click.command("cp")
@click.argument("source", shell_complete=completion.models)
@click.argument("destination")
@service_options
def command(*, source: str, destination: str, host: str) -> None:
    """Give the model SOURCE a second name, DESTINATION. Its files are shared, not copied."""
    try:
        Remote(host).send("/api/copy", {"source": source, "destination": destination})
    except Refused as error:
        if error.http_status == 404:
            raise NotFound(error.detail, hint="See: vllama list") from error
        raise
    output.line(f"copied '{source}' to '{destination}'")
