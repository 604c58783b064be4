"""``vllama bench prefix``: what prefix caching saves."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict
from typing import Literal

import click

from vllama.bench.prefix import measure_prefix, table
from vllama.bench.prompts import Prompts
from vllama.bench.rounds import BenchPlan
from vllama.bench.tables import errors
from vllama.bench.workload import Workload
from vllama.cli import completion, output
from vllama.cli.bench import options
from vllama.cli.progress import progress
from vllama.cli.remote import host_option


@click.command("prefix", short_help="Measure what prefix caching saves.")
@click.argument("model", required=False, shell_complete=completion.models)
@host_option
@click.option(
    "--api",
    type=click.Choice(["auto", "ollama", "openai"]),
    default="auto",
    show_default=True,
    help="The server's API.",
)
@click.option("--system", type=click.IntRange(1), default=1000, show_default=True, help="Tokens of the system prompt.")
@click.option("--user", type=click.IntRange(1), default=20, show_default=True, help="Tokens of the user's text.")
@click.option("--tokens", type=click.IntRange(1), default=16, show_default=True, help="Longest answer, in tokens.")
@click.option("--clients", callback=options.numbers, default="1,5", show_default=True, help="Parallel clients.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Rounds of measurement.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, raw samples included.")
def command(
    *,
    model: str | None,
    host: str,
    api: Literal["auto", "ollama", "openai"],
    system: int,
    user: int,
    tokens: int,
    clients: tuple[int, ...],
    rounds: int,
    as_json: bool,
) -> None:
    """Measure the time to the first token with a system prompt that was seen before, and with a new one each time.

    OpenAI's API (--api openai) reports how many tokens were found in the cache, if the server counts them. Exit status
    1 when requests fail.
    """
    place = options.own_place(host, model, None if api == "auto" else api, None)
    work, plan = (
        Workload(Prompts((user,), system, salt=secrets.token_hex(4)), max_tokens=tokens),
        BenchPlan(clients, rounds),
    )
    with progress(quiet=as_json) as show:
        found = asyncio.run(measure_prefix(place, work, plan, options.watching(show)))
    if as_json:
        rows = [
            {"repeated": asdict(repeated), "fresh": asdict(fresh), "ratio": asdict(ratio)}
            for repeated, fresh, ratio in found.rows
        ]
        output.data({"target": asdict(found.target), "rows": rows, "legs": [asdict(leg) for leg in found.legs]})
    else:
        output.table(*table(found))
        for what, times in errors(found.legs).items():
            output.warning(f"{times} x {what}")
    if any(repeated.errors or fresh.errors for repeated, fresh, _ in found.rows):
        raise click.exceptions.Exit(1)
