"""``vllama push``: vLLama refuses it with the reason; an Ollama server pushes."""

from __future__ import annotations

from contextlib import closing

import click

from vllama.cli import output
from vllama.cli.remote import Remote, service_options


@click.command("push")
@click.argument("model")
@service_options
def command(*, model: str, host: str) -> None:
    """Push MODEL with the Ollama server that --host names. vLLama refuses this, because it has no registry."""
    with closing(Remote(host).follow("/api/push", {"model": model})) as lines:
        for line in lines:
            output.note(str(line.get("status", "")))
