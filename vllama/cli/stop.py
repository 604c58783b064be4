"""``vllama stop``: unload a model."""

from __future__ import annotations

import click

from vllama.cli import completion
from vllama.cli.remote import Refused, Remote, service_options
from vllama.errors import NotFound


@click.command("stop")
@click.argument("model", shell_complete=completion.models)
@service_options
def command(*, model: str, host: str) -> None:
    """Unload MODEL as soon as its running answers have ended, and free its memory. The service keeps running."""
    try:
        Remote(host).post("/api/generate", {"model": model, "keep_alive": 0}, "done")
    except Refused as error:
        if error.http_status == 404:
            raise NotFound(f'couldn\'t find model "{model}" to stop', hint="See: vllama ps") from error
        raise
