"""``vllama load``: load models before the first request."""

from __future__ import annotations

import click

from vllama.cli import completion, output
from vllama.cli.chat.loading import load
from vllama.cli.keeping import keep_alive
from vllama.cli.remote import Refused, Remote, service_options
from vllama.errors import NotFound


@click.command("load")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=completion.models)
@click.option(
    "--keep",
    callback=keep_alive,
    default="",
    metavar="DURATION",
    help="How long it stays loaded without requests: 30m, 1h30m or forever [default: the configuration's keep_alive].",
)
@service_options
def command(*, models: tuple[str, ...], keep: str, host: str) -> None:
    """Load each MODEL, so that its first request need not wait. If memory is short, idle models are unloaded for it."""
    remote = Remote(host)
    for model in models:
        try:
            answer = remote.post("/api/show", {"model": model}, "model_info")
            load(remote, model, keep, embeds=answer.get("capabilities") == ["embedding"])
        except Refused as error:
            if error.http_status == 404:
                raise NotFound(error.detail, hint=f"vllama pull {model}   (or see: vllama list)") from error
            raise
        output.line(f"loaded '{model}'")
