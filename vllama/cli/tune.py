"""``vllama tune``: the fastest settings for a model on this machine, found by measuring."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Final

import click

from vllama import child
from vllama.bench.candidates import Candidate, candidates
from vllama.bench.measure import this_machine
from vllama.bench.prompts import Prompts
from vllama.bench.rounds import BenchPlan
from vllama.bench.trials import Judgement, Trial, judge, table
from vllama.bench.workload import Workload
from vllama.cli import completion, output
from vllama.cli.bench import options
from vllama.cli.progress import progress
from vllama.cli.remote import Broken, Refused, Remote, Unreachable, service_options
from vllama.config.environment import environment
from vllama.config.load import Loaded, load_config
from vllama.config.tuned import forget_tuned, tuned_file, tuned_text, write_tuned
from vllama.errors import BadRequest, Busy, NotFound
from vllama.fit.gpu import detect
from vllama.fit.settings import WantedSettings, wanted_settings
from vllama.install.engines import locate
from vllama.models.library import Library
from vllama.models.model import Model
from vllama.models.names import parse_name
from vllama.models.sources import parse_argument
from vllama.service.stock import open_store
from vllama.service.tune import Tuning, with_settings

_PERSONS: Final = ("models.", "profiles.", "context_length")
"""Where settings come from that a person chose for good."""


@click.command("tune")
@click.argument("model", shell_complete=completion.models)
@click.option("--clients", callback=options.numbers, default="1,8,32", show_default=True, help="Parallel clients.")
@click.option("--rounds", type=click.IntRange(1), default=2, show_default=True, help="Rounds of measurement.")
@click.option(
    "--prompts",
    "lengths",
    callback=options.lengths,
    default="medium",
    show_default=True,
    help="short, medium or long (50, 200, 500 tokens), mixed, or numbers of tokens.",
)
@click.option("--tokens", type=click.IntRange(2), default=64, show_default=True, help="Tokens of an answer.")
@click.option("--dry-run", is_flag=True, help="Measure and print the result, but keep nothing.")
@click.option("--forget", is_flag=True, help="Delete the settings found before; measure nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file.")
@service_options
def command(
    *,
    model: str,
    clients: tuple[int, ...],
    rounds: int,
    lengths: tuple[int, ...],
    tokens: int,
    dry_run: bool,
    forget: bool,
    as_json: bool,
    file: Path | None,
    host: str,
) -> None:
    """Find the fastest settings for MODEL on this machine, and keep them.

    The command starts its own engine for each candidate that is worth a try, and measures it. Settings that the
    configuration sets stay as they are. The winner is kept in a file in the state directory. It applies from the next
    load, or at once after 'systemctl reload vllama'. Ctrl-C leaves everything as it was.
    """
    loaded = load_config(file, environ=environment())
    for folder in (loaded.state, loaded.cache):  # its engines run what the service has compiled and kept there
        child.become_owner(folder)
    found = _find(model, loaded)
    place = tuned_file(loaded.state, found.name.short)
    if forget:
        was = forget_tuned(place)
        output.line(f"{found.name.short}: {'tuned settings deleted' if was else 'there were no tuned settings'}")
        return
    _alone(host)
    choices = _choices(found, loaded)
    work = Workload(Prompts(lengths, salt=secrets.token_hex(4)), max_tokens=tokens, fixed=True, route="generate")
    with progress(quiet=as_json) as show:
        watch = options.watching(show)
        tuning = Tuning(
            loaded,
            found,
            environment(),
            work,
            BenchPlan(clients, rounds),
            watch.step,
            lambda trial: show.say(_line(trial)),
        )
        first, trials, last, again = asyncio.run(_measured(tuning, choices))
    judgement = judge(first, trials, last, again)
    kept = _settings(loaded, found, judgement)
    text = tuned_text(found.name.short, kept, _comments(found, first, trials, judgement)) if kept else ""
    elsewhere = _stronger(loaded, found, place)
    written = bool(text) and not dry_run and not elsewhere
    if written:
        write_tuned(place, text)
    if as_json:
        output.data(_as_json(found, (first, *trials, last, *again), judgement, kept, place if written else None))
        return
    _print(first, trials, judgement)
    if written:
        output.line(f"\nKept in {place}. It applies from the next load; at once with: systemctl reload vllama")
    elif text:
        why = f"{elsewhere} has tuned settings that override it; write it there" if elsewhere else "it would be"
        output.line(f"\nNot kept: {why}:\n\n{text.rstrip()}")


async def _measured(tuning: Tuning, choices: Sequence[Candidate]) -> tuple[Trial, list[Trial], Trial, list[Trial]]:
    """``Tuning.run``, which ``kill`` and a terminal that is closed end as Ctrl-C does. Raises click.Abort then.

    The engine is in a session of its own, so nothing else would stop it. Ignored signals stay ignored (``nohup``).
    """
    loop, running = asyncio.get_running_loop(), asyncio.ensure_future(tuning.run(choices))
    ended = False

    def end() -> None:
        nonlocal ended
        ended = True
        running.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, end)
    try:
        return await running
    except asyncio.CancelledError:
        if ended:
            raise click.Abort from None
        raise  # Ctrl-C: asyncio raises KeyboardInterrupt


def _find(text: str, loaded: Loaded) -> Model:
    library = Library(loaded.state)
    known = {name.key for one in loaded.config.models if (name := parse_name(one)) is not None} | {*library.all()}
    read = parse_argument(text, known, lambda place: Path(place).expanduser().is_dir())
    title = read[0] if read is not None else text
    name = parse_name(title)
    if name is None:
        raise BadRequest(f"{text!r} is not a model name")
    store = open_store(loaded, {title: read[1]} if read is not None and read[1] is not None else {}, library)
    model = store.find(name)
    if model is None:
        raise store.problem(name) or NotFound(f"model {text!r} is not installed", hint=f"vllama pull {text}")
    if model.facts.task != "generate":
        raise BadRequest(f"{name.short} generates no text", hint="Only models that generate text can be tuned.")
    return model


def _stronger(loaded: Loaded, model: Model, place: Path) -> str:
    """The file in which a person has tuned settings of the model; empty without one."""
    for name in loaded.config.tuned:
        parsed, origin = parse_name(name), loaded.origin_of(("tuned", name))
        if parsed is not None and parsed.key == model.name.key and not origin.startswith(str(place)):
            return origin
    return ""


def _alone(host: str) -> None:
    """What is loaded takes memory and cores: no figure would mean anything. Raises Busy."""
    try:
        loaded = Remote(host).get("/api/ps", "models")["models"]
    except (Unreachable, Refused, Broken):
        return
    if loaded:
        names = [str(one["name"]) for one in loaded]
        raise Busy(
            f"the service has {' and '.join(names)} loaded, and tuning needs the whole machine",
            hint="\n".join(f"vllama stop {name}" for name in names),
        )


def _choices(model: Model, loaded: Loaded) -> tuple[Candidate, ...]:
    capabilities = locate(loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache)
    hardware = detect().for_backend(capabilities.backend)
    wanted = wanted_settings(model, loaded.config, hardware)
    return candidates(hardware, wanted.values, _decided(wanted))


def _decided(wanted: WantedSettings) -> frozenset[str]:
    """Settings that a person chose in the configuration."""
    return frozenset(key for key, origin in wanted.origins.items() if origin.startswith(_PERSONS))


def _settings(loaded: Loaded, model: Model, judgement: Judgement) -> Mapping[str, Any]:
    """The model's tuned settings once the best candidate is kept; empty without a best one."""
    if judgement.best is None:
        return {}
    tuned = with_settings(loaded, model, judgement.best.candidate.changes).config.tuned[model.name.short]
    return tuned.model_dump(exclude_unset=True, mode="json")


def _line(trial: Trial) -> str:
    if trial.problem:
        return f"{trial.candidate.name}: {trial.problem}"
    speeds = ", ".join(f"{row.tokens_per_second.median:,.1f} at {row.clients}" for row in trial.rows)
    return f"{trial.candidate.name}: tokens/s {speeds}"


def _print(first: Trial, trials: Sequence[Trial], judgement: Judgement) -> None:
    output.line()
    output.table(*table(first, trials, judgement))
    output.line()
    drift = f"the machine itself changed by {judgement.drift * 100:.1f} % meanwhile"
    if judgement.best is None:
        output.line(f"No candidate is clearly faster than the current settings ({drift}); nothing was changed.")
    else:
        gain = (judgement.gains[judgement.best.candidate.name] - 1) * 100
        output.line(f"Best: {judgement.best.candidate.name}, {gain:+.1f} % tokens/s ({drift})")


def _comments(model: Model, first: Trial, trials: Sequence[Trial], judgement: Judgement) -> list[str]:
    machine = this_machine()
    where = ", ".join((machine.cpu, f"{machine.cores} cores", *machine.gpus))
    head, rows = table(first, trials, judgement)
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)) for row in (head, *rows)]
    today = date.today().isoformat()  # noqa: DTZ011 - the day here
    return [f"Written by 'vllama tune {model.name.short}' on {today}: {where}.", *lines]


def _as_json(
    model: Model, trials: Sequence[Trial], judgement: Judgement, kept: Mapping[str, Any], place: Path | None
) -> dict[str, Any]:
    return {
        "model": model.name.short,
        "trials": [asdict(trial) for trial in trials],
        "gains": dict(judgement.gains),
        "drift": judgement.drift,
        "best": judgement.best.candidate.name if judgement.best else None,
        "settings": dict(kept),
        "kept": place,
    }
