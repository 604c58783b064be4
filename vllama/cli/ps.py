"""``vllama ps``: the models that are loaded, being loaded or compiled."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import click

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.remote import Broken, Refused, Remote, service_options
from vllama.cli.screen import follow
from vllama.sizes import human_bytes

_ID_LENGTH = 12
_FAILED = frozenset({"backoff", "broken"})


@click.command("ps")
@click.option("--json", "as_json", is_flag=True, help="Print the service's answer as JSON.")
@click.option("--watch", "-w", is_flag=True, help="Show the list anew each second, until q is pressed.")
@service_options
def command(*, as_json: bool, watch: bool, host: str) -> None:
    """List the loaded models, where they run and how long they stay loaded. Models being loaded show their progress."""
    remote = Remote(host)
    if watch:
        follow(lambda: _listed(*_asked(remote)), instead="vllama ps without --watch prints the list once.")
        return
    answer, engines = _asked(remote)
    if as_json:
        output.data({**answer, "engines": engines})
        return
    for line in _listed(answer, engines):
        output.line(line)


def _asked(remote: Remote) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return remote.get("/api/ps", "models"), _engines(remote)


def _listed(answer: dict[str, Any], engines: list[dict[str, Any]]) -> list[str]:
    rows = [_row(model, time.time()) for model in answer["models"]]
    listed = {model["name"] for model in answer["models"]}
    rows += [_on_its_way(engine) for engine in engines if engine["name"] not in listed and not _unloaded(engine)]
    return [
        *fmt.table(["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"], rows),
        *(fmt.clean(f"{engine['name']}: {engine['compiling']}") for engine in engines if engine.get("compiling")),
    ]


def _engines(remote: Remote) -> list[dict[str, Any]]:
    """What only vLLama reports; Ollama has no such route."""
    try:
        engines: list[dict[str, Any]] = remote.get("/vllama/engines", "engines")["engines"]
    except (Refused, Broken):
        return []
    return engines


def _unloaded(engine: dict[str, Any]) -> bool:
    """Whether this model is listed only because it is being compiled."""
    return engine["phase"] == "absent" and not engine["waiting"] and "compiling" in engine


def _on_its_way(engine: dict[str, Any]) -> list[str]:
    size = int(engine.get("size", 0))
    stage, cause = engine.get("stage", ""), engine.get("cause", "")
    text = ": ".join(filter(None, (stage, cause))) if engine["phase"] in _FAILED else stage or engine["phase"]
    if engine["waiting"]:
        text += f" ({engine['waiting']} waiting)"
    return [
        fmt.clean(engine["name"]),
        engine["digest"][:_ID_LENGTH],
        human_bytes(size) if size else "-",
        fmt.processor(size, int(engine.get("size_vram", 0))) if size else "-",
        "-",
        fmt.clean(text),
    ]


def _row(model: dict[str, Any], now: float) -> list[str]:
    expires = datetime.fromisoformat(model["expires_at"]).timestamp()
    return [
        fmt.clean(model["name"]),
        model["digest"][:_ID_LENGTH],
        human_bytes(model["size"]),
        fmt.processor(model["size"], model["size_vram"]),
        str(model.get("context_length", "-")),
        fmt.until(expires, now),
    ]
