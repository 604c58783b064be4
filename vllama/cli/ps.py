"""``vllama ps``: the models that are loaded now."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import click

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.remote import Remote, host_option

_ID_LENGTH = 12


@click.command("ps")
@click.option("--json", "as_json", is_flag=True, help="Print the service's answer as JSON.")
@host_option
def command(*, as_json: bool, host: str) -> None:
    """List the models that are loaded, where they run and how long they stay."""
    answer = Remote(host).get("/api/ps", "models")
    if as_json:
        output.data(answer)
        return
    rows = [_row(model, time.time()) for model in answer["models"]]
    output.table(["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"], rows)


def _row(model: dict[str, Any], now: float) -> list[str]:
    expires = datetime.fromisoformat(model["expires_at"]).timestamp()
    return [
        fmt.clean(model["name"]),
        model["digest"][:_ID_LENGTH],
        fmt.human_bytes(model["size"]),
        fmt.processor(model["size"], model["size_vram"]),
        str(model.get("context_length", "-")),
        fmt.until(expires, now),
    ]
