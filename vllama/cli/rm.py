"""``vllama rm``: delete models."""

from __future__ import annotations

import click

from vllama.cli import completion, output
from vllama.cli.remote import Refused, Remote, service_options
from vllama.errors import NotFound


@click.command("rm")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=completion.models)
@service_options
def command(*, models: tuple[str, ...], host: str) -> None:
    """Delete each MODEL, and the files that no other model uses. A loaded model stays loaded until it is unloaded."""
    remote = Remote(host)
    for model in models:
        try:
            remote.send("/api/delete", {"model": model}, method="DELETE")
        except Refused as error:
            if error.http_status == 404:
                raise NotFound(error.detail, hint="See: vllama list") from error
            raise
        output.line(f"deleted '{model}'")
