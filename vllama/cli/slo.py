"""``vllama slo``: how the service level objectives are kept, and rules for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.remote import Remote, service_options
from vllama.config.environment import environment
from vllama.config.load import load_config
from vllama.config.promises import written_share, written_time
from vllama.errors import NotFound
from vllama.observe.slo import objectives
from vllama.observe.slo_rules import rules_text

_HEADERS: Final = ("NAME", "OBJECTIVE", "OVER", "REQUESTS", "GOOD", "BUDGET LEFT", "BURN 5m", "1h", "6h", "3d")
_NO_SLOS: Final = "Add 'slos' to the configuration, e.g. slos: {chat: {ttft: 1s at 95 %, success: 99.9 %}}"


@click.group("slo", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print the service's answer as JSON.")
@service_options
@click.pass_context
def command(context: click.Context, *, as_json: bool, host: str) -> None:
    """Show how the service level objectives are kept.

    BUDGET LEFT is the share of the error budget that is left. BURN is how fast it is spent: at 1 it lasts exactly for
    the objective's period, at 10 a tenth of that.
    """
    if context.invoked_subcommand is not None:
        return
    answer = Remote(host).get("/vllama/slos", "slos")
    if as_json:
        output.data(answer)
        return
    if not answer["slos"]:
        output.note(f"The service has no objectives. {_NO_SLOS}")
        return
    output.table(_HEADERS, [_row(one) for one in answer["slos"]])


@command.command("rules")
@click.option("--config", "config", type=click.Path(path_type=Path), help="Configuration file.")
def rules(config: Path | None) -> None:
    """Print recording and alert rules for Prometheus, in the names that sloth uses."""
    loaded = load_config(config, environ=environment())
    found = objectives(loaded.config.slos)
    if not found:
        raise NotFound("the configuration has no slos", hint=_NO_SLOS)
    output.text(rules_text(found))


def _row(one: Mapping[str, Any]) -> list[str]:
    threshold = f"{written_time(one['threshold'])} at " if "threshold" in one else ""
    requests, burn = int(one["requests"]), one["burn"]
    return [
        fmt.clean(str(one["name"])),
        fmt.clean(f"{one['objective']} {threshold}{written_share(one['target'])}"),
        f"{one['over'] / 86400:g}d",
        str(requests),
        written_share(round(one["good"] / requests, 5)) if requests else "-",
        f"{one['budget_left']:.1%}".replace("%", " %") if requests else "100 %",
        *(f"{burn[window]:.2g}" for window in ("5m", "1h", "6h", "3d")),
    ]
