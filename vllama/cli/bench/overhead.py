"""``vllama bench overhead``: what vLLama adds to a bare engine."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext

import click

from vllama.bench import budget, tables
from vllama.bench.overhead import Overhead, measure_overhead
from vllama.bench.rounds import Plan
from vllama.bench.stand import Stand, started_stand
from vllama.bench.workload import PROMPT, Workload
from vllama.cli import output
from vllama.cli.bench import options
from vllama.cli.progress import progress
from vllama.errors import BadRequest


@click.command("overhead", short_help="Measure what vLLama adds to a bare engine.")
@click.option("--direct", metavar="ADDRESS", help="The bare engine: unix:/PATH or http://HOST:PORT.")
@click.option("--through", metavar="URL", help="vLLama in front of the same engine: http://HOST:PORT.")
@click.option("--model", metavar="NAME", help="The model's name at vLLama.")
@click.option("--clients", callback=options.numbers, default="1,5,10,50", show_default=True, help="Clients at once.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Times each is measured.")
@click.option("--tokens", type=click.IntRange(1), default=200, show_default=True, help="Longest answer, in tokens.")
@click.option("--prompt", default=PROMPT, show_default=True, help="What is asked.")
@click.option(
    "--engine", type=click.Choice(["fake", "real"]), default="fake", show_default=True, help="What to start as engine."
)
@click.option("--token-rate", type=float, default=100.0, show_default=True, help="Speed of each fake stream, tokens/s.")
@click.option("--pid", type=int, help="The front end's process, to measure its CPU time and memory.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, raw samples included.")
def command(
    *,
    direct: str | None,
    through: str | None,
    model: str | None,
    clients: tuple[int, ...],
    rounds: int,
    tokens: int,
    prompt: str,
    engine: str,
    token_rate: float,
    pid: int | None,
    as_json: bool,
) -> None:
    """What vLLama adds to a bare engine: the same work both ways, turn by turn, in one run.

    Without targets, an engine and the service in front of it are started from the checkout. Exit status 1 when a
    target figure is missed.
    """
    work, plan = Workload(prompt=prompt, max_tokens=tokens), Plan(clients, rounds)
    with progress(quiet=as_json) as show:
        show.status("starting")
        with _named(direct, through, model, pid) or started_stand(engine, token_rate) as stand:
            outcome = asyncio.run(measure_overhead(stand, work, plan, options.watching(show).step))
    if as_json:
        output.data(budget.as_json(outcome.compared, outcome.front_end, outcome.legs))
    else:
        _tell(outcome)
    if not all(verdict.met for verdict in budget.verdicts(outcome.compared, outcome.front_end)):
        raise click.exceptions.Exit(1)


def _named(
    direct: str | None, through: str | None, model: str | None, pid: int | None
) -> AbstractContextManager[Stand] | None:
    """The targets that were named; None where none was."""
    if direct is None and through is None:
        return None
    if direct is None or through is None or model is None:
        raise BadRequest("--direct, --through and --model belong together")
    return nullcontext(Stand(direct, through, model, pid))


def _tell(outcome: Overhead) -> None:
    output.table(*budget.table(outcome.compared))
    output.line()
    for verdict in budget.verdicts(outcome.compared, outcome.front_end):
        mark = output.good("met   ") if verdict.met else output.bad("missed")
        output.line(f"{mark}  {verdict.what}: {verdict.measured} (wanted {verdict.wanted})")
    if outcome.front_end is not None:
        output.line(f"        CPU time of a token event: {outcome.front_end.microseconds_per_event:.1f} us")
    for what, times in tables.errors(outcome.legs).items():
        output.warning(f"{times} x {what}")
