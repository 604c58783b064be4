"""``vllama list``: the models that can be asked."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import click

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.remote import Remote, service_options
from vllama.sizes import human_bytes

_ID_LENGTH = 12


@click.command("list")
@click.argument("prefix", default="")
@click.option("--json", "as_json", is_flag=True, help="Print the service's answer as JSON.")
@service_options
def command(*, prefix: str, as_json: bool, host: str) -> None:
    """List the models that can be used; with PREFIX only those whose name begins with it."""
    answer = Remote(host).get("/api/tags", "models")
    models = [m for m in answer["models"] if m["name"].casefold().startswith(prefix.casefold())]
    if as_json:
        output.data({"models": models})
        return
    output.table(["NAME", "ID", "SIZE", "MODIFIED"], [_row(m, time.time()) for m in models])


def _row(model: dict[str, Any], now: float) -> list[str]:
    modified = datetime.fromisoformat(model["modified_at"]).timestamp()
    size = "-" if model.get("remote_model") else human_bytes(model["size"])
    return [fmt.clean(model["name"]), model["digest"][:_ID_LENGTH], size, fmt.human_time(modified, now)]
