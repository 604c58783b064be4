"""``vllama usage``: what requests used, by model, key, person or day."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import click

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.remote import Remote, service_options
from vllama.errors import BadRequest
from vllama.observe.usage.table import GROUPS

_COUNTS: Final = {
    "requests": "REQUESTS",
    "failed": "FAILED",
    "prompt_tokens": "PROMPT",
    "cached_tokens": "CACHED",
    "generated_tokens": "GENERATED",
}


@click.command("usage")
@click.option("--by", metavar="LIST", default="model", help=f"What to sum by, some of {','.join(GROUPS)} [model].")
@click.option("--since", metavar="TIME", default="30d", help="7d, 2026-11-01 or 2026-11 [30d].")
@click.option("--until", metavar="TIME", default="", help="The last day or month, in the same form [now].")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option("--json", "as_json", is_flag=True, help="Print the service's answer as JSON.")
@click.option("--delete-person", metavar="NAME", default="", help="Delete all that is recorded of this person.")
@service_options
def command(*, by: str, since: str, until: str, as_csv: bool, as_json: bool, delete_person: str, host: str) -> None:
    """Show how many requests and tokens there were, how long engines worked for them, and what it cost.

    The counts are the engines' own. Days are those of UTC. PROMPT includes CACHED: the tokens that the engine found in
    its prefix cache. ENERGY and COST are left out where nothing is measured or priced. Without a key that manages
    models you see your own usage.
    """
    if as_csv and as_json:
        raise BadRequest("--csv and --json exclude each other")
    remote = Remote(host)
    if delete_person:
        remote.send(f"/vllama/usage?{urlencode({'person': delete_person})}", {}, method="DELETE")
        output.line(f"deleted what was recorded of {fmt.clean(delete_person)}")
        return
    asked = {"by": by, "since": since, **({"until": until} if until else {})}
    if as_csv:
        output.text(remote.read(f"/vllama/usage?{urlencode({**asked, 'format': 'csv'})}"))
        return
    answer = remote.get(f"/vllama/usage?{urlencode(asked)}", "rows")
    if as_json:
        output.data(answer)
        return
    _table(answer)
    if lost := answer["lost"]:
        output.warning(f"{lost} requests could not be recorded since the service started (see its journal)")
    if problem := answer.get("problem"):
        output.warning(fmt.clean(problem))


def _table(answer: dict[str, Any]) -> None:
    by, rows = answer["by"], answer["rows"]
    energy, cost = (any(name in row for row in rows) for name in ("joules", "money"))
    headers = [*(name.upper() for name in by), *_COUNTS.values(), "ENGINE TIME"]
    headers += [*(["ENERGY"] if energy else []), *(["COST"] if cost else [])]
    cells = []
    for row in rows:
        cell = [fmt.clean(str(row.get(name, "-"))) for name in by]
        cell += [f"{row[name]:,}" for name in _COUNTS]
        cell.append(_hours(row["engine_seconds"]))
        if energy:
            cell.append(f"{row['joules'] / 3.6e6:.3f} kWh" if "joules" in row else "-")
        if cost:
            cell.append(f"{row['money']:.2f} {answer.get('currency', '')}".strip() if "money" in row else "-")
        cells.append(cell)
    output.table(headers, cells)


def _hours(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
