"""``vllama version``: the versions of the service and of this command."""

from __future__ import annotations

import click

from vllama import __version__
from vllama.cli import output
from vllama.cli.remote import Remote, Unreachable, service_options


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Print both versions as JSON.")
@service_options
def command(*, as_json: bool, host: str) -> None:
    """Print the version of this command and the version of the Ollama API that the running service implements.

    Clients compare the second one with the version that they need.
    """
    try:
        service = str(Remote(host).get("/api/version", "version")["version"])
    except Unreachable:
        service = ""
    if as_json:
        output.data({"version": __version__, "service": service or None})
        return
    output.line(f"vllama version is {__version__}")
    if service:
        output.line(f"Ollama API version of the running service is {service}")
    else:
        output.warning("could not connect to a running vllama service")
