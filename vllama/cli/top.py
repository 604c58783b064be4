"""``vllama top``: the machine, the engines and the requests, live."""

from __future__ import annotations

import time

import click

from vllama.cli import dashboard, output
from vllama.cli.remote import Remote, service_options
from vllama.cli.screen import follow


@click.command("top")
@click.option("--json", "as_json", is_flag=True, help="Print the service's state once, as JSON.")
@service_options
def command(*, as_json: bool, host: str) -> None:
    """Watch the machine, the engines and the running requests. Press q to quit."""
    remote = Remote(host, answer_seconds=5.0)
    if as_json:
        output.data(remote.get("/vllama/status", "engines"))
        return

    def lines() -> list[str]:
        status = remote.get("/vllama/status", "engines")
        return dashboard.lines(status, remote.get("/vllama/requests", "live")["live"], time.time())

    follow(lines, instead="vllama top --json prints the state once, vllama ps lists the models.")
