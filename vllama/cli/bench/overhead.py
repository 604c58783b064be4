"""``vllama bench overhead``: what vLLama adds to a bare engine."""

from __future__ import annotations

import asyncio

import click

from vllama.bench import budget, tables
from vllama.bench.overhead import Overhead, Ways, measure_overhead
from vllama.bench.rounds import BenchPlan
from vllama.bench.workload import PROMPT, Workload
from vllama.cli import output
from vllama.cli.bench import options
from vllama.cli.progress import progress


@click.command("overhead", short_help="Measure what vLLama adds to a bare engine.")
@click.option(
    "--direct", metavar="ADDRESS", help="The bare engine: unix:/PATH or http://HOST:PORT [default: detected]."
)
@click.option(
    "--through", metavar="URL", default="", help="vLLama in front of the same engine [default: the running service]."
)
@click.option("--model", metavar="NAME", default="", help="The model's name at vLLama [default: the loaded one].")
@click.option("--clients", callback=options.numbers, default="1,5,10,50", show_default=True, help="Parallel clients.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Rounds of measurement.")
@click.option("--tokens", type=click.IntRange(1), default=200, show_default=True, help="Longest answer, in tokens.")
@click.option("--prompt", default=PROMPT, show_default=True, help="The prompt.")
@click.option("--pid", type=int, help="The service's process, for its CPU time and memory [default: detected].")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, raw samples included.")
def command(
    *,
    direct: str | None,
    through: str,
    model: str,
    clients: tuple[int, ...],
    rounds: int,
    tokens: int,
    prompt: str,
    pid: int | None,
    as_json: bool,
) -> None:
    """Measure what vLLama adds to a bare engine: the same work both ways, in turns, in one run.

    It measures the running service and the engine of its model. To find that engine it must run on the same machine, as
    root or as the service's user. Exit status 1 means that a target figure is missed.
    """
    ways = Ways(options.own_place(through, model, "ollama", None).address, direct, model, pid)
    work, plan = Workload(prompt=prompt, max_tokens=tokens), BenchPlan(clients, rounds)
    with progress(quiet=as_json) as show:
        outcome = asyncio.run(measure_overhead(ways, work, plan, options.watching(show)))
    if as_json:
        output.data(budget.as_json(outcome.compared, outcome.front_end, outcome.legs))
    else:
        _print(outcome)
    if not all(verdict.met for verdict in budget.verdicts(outcome.compared, outcome.front_end)):
        raise click.exceptions.Exit(1)


def _print(outcome: Overhead) -> None:
    output.table(*budget.table(outcome.compared))
    output.line()
    for verdict in budget.verdicts(outcome.compared, outcome.front_end):
        mark = output.good("met   ") if verdict.met else output.bad("missed")
        output.line(f"{mark}  {verdict.what}: {verdict.measured} (wanted {verdict.wanted})")
    if outcome.front_end is not None:
        output.line(f"        CPU time of a token event: {outcome.front_end.microseconds_per_event:.1f} us")
    for what, times in tables.errors(outcome.legs).items():
        output.warning(f"{times} x {what}")
