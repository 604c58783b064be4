"""``vllama bench speed``: how fast one or several servers answer."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import click

from vllama import __version__
from vllama.bench import tables
from vllama.bench.drive import PATIENCE
from vllama.bench.gate import gate, with_gate
from vllama.bench.measure import measure, this_machine
from vllama.bench.page import work_in_words
from vllama.bench.prompts import Prompts
from vllama.bench.record import Record, to_json
from vllama.bench.rounds import BenchPlan
from vllama.bench.workload import Dialect, Route, Workload
from vllama.cli import completion, output
from vllama.cli.bench import options
from vllama.cli.progress import progress
from vllama.cli.remote import host_option, service_address
from vllama.service.checks import busy


@click.command("speed", short_help="Measure how fast a model answers (the default).")
@click.argument("model", required=False, shell_complete=completion.models)
@host_option
@click.option("--name", metavar="NAME", help="This service's name in the tables.")
@click.option(
    "--api",
    type=click.Choice(["auto", "ollama", "openai"]),
    default="auto",
    show_default=True,
    help="The service's API.",
)
@click.option(
    "--vs",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="A server to compare with: http://HOST:PORT or unix:/PATH. A prefix ollama: or openai: names its API.",
)
@click.option("--vs-model", multiple=True, metavar="NAME=MODEL", help="The model's name on that server, if it differs.")
@click.option("--unlike", is_flag=True, help="Measure targets that run different models, bits or contexts.")
@click.option("--clients", callback=options.numbers, default="1,5,10,50", show_default=True, help="Parallel clients.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds of measurement.")
@click.option(
    "--requests", type=click.IntRange(1), default=2, show_default=True, help="Requests of each client in a round."
)
@click.option(
    "--prompts",
    "lengths",
    callback=options.lengths,
    default="short",
    show_default=True,
    help="short, medium or long (50, 200, 500 tokens), mixed, or numbers of tokens.",
)
@click.option("--prompt", default="", help="Send this prompt each time instead.")
@click.option("--system", type=click.IntRange(0), default=0, help="Tokens of a system prompt that all requests share.")
@click.option("--tokens", type=click.IntRange(1), default=64, show_default=True, help="Longest answer, in tokens.")
@click.option(
    "--length",
    type=click.Choice(["natural", "fixed"]),
    default="natural",
    show_default=True,
    help="fixed: answers have exactly --tokens tokens (only vLLama and vLLM, with --api openai).",
)
@click.option(
    "--route", type=click.Choice(["chat", "generate"]), default="chat", show_default=True, help="Which route to call."
)
@click.option("--no-stream", "whole", is_flag=True, help="Whole answers, without TTFT.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=PATIENCE,
    show_default=True,
    help="A request fails when the server sends nothing for this many seconds.",
)
@click.option("--gate", "gated", is_flag=True, help="Fail when 16 clients get less than 4 times the requests/s of one.")
@click.option("--json", "json_file", type=options.FILE, help="Write everything, every sample included.")
@click.option("--plot", type=options.FILE, callback=options.plot_file, help="Draw curves: FILE.svg or FILE.png.")
@click.option("--html", type=options.FILE, help="Write a report in one file.")
def command(
    *,
    model: str | None,
    host: str,
    name: str | None,
    api: Literal["auto", "ollama", "openai"],
    vs: tuple[str, ...],
    vs_model: tuple[str, ...],
    unlike: bool,
    clients: tuple[int, ...],
    rounds: int,
    requests: int,
    lengths: tuple[int, ...],
    prompt: str,
    system: int,
    tokens: int,
    length: Literal["natural", "fixed"],
    route: Route,
    whole: bool,
    timeout: float,
    gated: bool,
    json_file: Path | None,
    plot: Path | None,
    html: Path | None,
) -> None:
    """Measure how fast the running service answers with MODEL, and compare it with other servers.

    Without MODEL it measures the loaded model, or the only one. You can measure any server with Ollama's or OpenAI's
    API. Several servers take turns, so their ratios are right even if the machine's speed drifts. Exit status 1 means
    that requests failed or the gate was missed.
    """
    options.writable(json_file, plot, html)
    dialect: Dialect | None = None if api == "auto" else api
    own = options.own_place(host, model, dialect, name)
    places = options.distinct([own, *options.others(vs, vs_model, model)])
    work = Workload(
        Prompts(lengths, system, salt=secrets.token_hex(4)), prompt, tokens, length == "fixed", route, not whole
    )
    if service_address(host).is_local and (text := busy(os.getloadavg()[0], len(os.sched_getaffinity(0)))):
        output.warning(text)
    plan = BenchPlan(with_gate(clients) if gated else clients, rounds, requests)
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    with progress() as show:
        outcome = asyncio.run(measure(places, work, plan, options.watching(show), unlike=unlike, patience=timeout))
    record = Record(
        measured_at=measured_at,
        command=("vllama", *sys.argv[1:]),
        vllama=__version__,
        machine=this_machine(),
        workload=outcome.workload,
        plan=plan,
        targets=outcome.targets,
        identities=outcome.identities,
        legs=outcome.legs,
        memory=outcome.memory,
        unlike=outcome.unlike,
    )
    if gated:
        record = record.judged(gate(record.rows, own.name))
    print_record(record)
    if json_file is not None:
        options.write(json_file, to_json(record))
    options.write_pictures(record, plot, html)
    if any(row.errors for row in record.rows) or not all(verdict.met for verdict in record.verdicts):
        raise click.exceptions.Exit(1)


def print_record(record: Record) -> None:
    """Print the tables of a measurement."""
    output.line(work_in_words(record))
    output.line()
    output.table(*tables.speeds(record.rows))
    output.line()
    output.table(*tables.waits(record.rows))
    if record.ratios:
        output.line()
        output.table(*tables.against(record.ratios, record.targets[0].name))
    if record.memory:
        output.line()
        output.table(*tables.memories(record.memory))
    for note in record.notes():
        output.warning(note)
    for verdict in record.verdicts:
        mark = output.good("met   ") if verdict.met else output.bad("missed")
        output.line(f"\n{mark}  {verdict.what}: {verdict.measured} (wanted {verdict.wanted})")
    for what, times in tables.errors(record.legs).items():
        output.warning(f"{times} x {what}")
