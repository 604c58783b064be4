"""``vllama push``: says clearly that there is nowhere to push to."""

from __future__ import annotations

from contextlib import closing

import click

from vllama.cli import output
from vllama.cli.remote import Remote, host_option


@click.command("push")
@click.argument("model")
@host_option
def command(*, model: str, host: str) -> None:
    """Refused by vLLama, which has no registry; with --host an Ollama server pushes MODEL to its own."""
    with closing(Remote(host).follow("/api/push", {"model": model})) as lines:
        for line in lines:
            output.note(str(line.get("status", "")))
