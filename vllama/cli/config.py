"""``vllama config``: check the file, show what holds and where it comes from, print the schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from vllama.cli import output
from vllama.cli.surroundings import compare
from vllama.config.environment import environment
from vllama.config.explain import as_tree, as_yaml, rows
from vllama.config.exposure import exposures
from vllama.config.jsonschema import schema_text
from vllama.config.load import Loaded, load_config
from vllama.config.variables import without_choices
from vllama.errors import ConfigError, Problem

_FILE = click.Path(path_type=Path, dir_okay=False)


F = TypeVar("F", bound=Callable[..., Any])


def _chosen_file(command: F) -> F:
    """FILE, or ``--config FILE`` as other commands have it."""
    option = click.option(
        "--config",
        "configured",
        type=_FILE,
        metavar="FILE",
        help="As FILE, but with the variables of this shell, as 'vllama serve --config FILE' has them.",
    )
    return click.argument("file", type=_FILE, required=False)(option(command))


def _load(file: Path | None, configured: Path | None) -> Loaded:
    """A FILE is the service's, which has no variables of this shell. Raises ConfigError."""
    if file is None:
        return load_config(configured, environ=environment())
    if configured is not None:
        raise click.UsageError("give FILE or --config FILE, not both")
    return load_config(file, environ=without_choices(environment()))


@click.group("config")
def command() -> None:
    """Check and explain the configuration."""


@command.command("check", short_help="Check the configuration and print every error.")
@_chosen_file
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(file: Path | None, configured: Path | None, *, as_json: bool) -> None:
    """Read the configuration (FILE, else the one that the service uses) and print every error.

    If there are none, it compares the configuration with this machine: directories, models, the interpreter, and flags
    against the installed engine. The service starts nevertheless; requests for the models concerned are refused.
    Warnings are models that were not pulled yet, with the command that pulls them, and settings that open the service
    to strangers. If FILE is given, variables of this shell such as OLLAMA_HOST don't count: the service does not have
    them. Exit status 78 means that there is an error; a warning alone is none.
    """
    warnings: list[Problem] = []
    try:
        loaded = _checked(file, configured)
        found = compare(loaded)
        warnings += found.unpulled
        warnings += [
            Problem(f"{one.text}. {one.hint}", one.key, loaded.origin_of(one.key))
            for one in exposures(loaded.config.server)
        ]
        if not as_json:
            for one in warnings:
                output.warning(one.message)
        if found.problems:
            raise ConfigError(
                f"the configuration does not fit this machine: {loaded.path or 'the defaults'}",
                problems=found.problems,
                hint="The service starts nevertheless. It refuses requests for the models concerned.",
            )
    except ConfigError as error:
        if not as_json:
            raise
        problems = list(map(asdict, error.findings))
        output.data(
            {
                "valid": False,
                "message": error.detail,
                "problems": problems,
                "warnings": list(map(asdict, warnings)),
            }
        )
        raise click.exceptions.Exit(78) from error
    if as_json:
        output.data({"valid": True, "file": loaded.path, "problems": [], "warnings": list(map(asdict, warnings))})
    else:
        output.line(f"{loaded.path} is valid" if loaded.path else "There is no configuration file; the defaults apply")


def _checked(file: Path | None, configured: Path | None) -> Loaded:
    """As ``_load``; the error says that the rest was not looked at."""
    try:
        return _load(file, configured)
    except ConfigError as error:
        if not error.findings:
            raise
        raise ConfigError(
            error.detail,
            problems=error.findings,
            hint="Correct these first: models, directories and engine flags are only checked after that. "
            "'vllama config schema' lists every key.",
        ) from error


@command.command("show", short_help="Print every value in effect.")
@_chosen_file
@click.option("--origin", is_flag=True, help="Print where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print values and origins as JSON.")
def show(file: Path | None, configured: Path | None, *, origin: bool, as_json: bool) -> None:
    """Print every value in effect: defaults, shipped profiles, file and environment together.

    If FILE is given, variables of this shell such as OLLAMA_HOST don't count: the service does not have them.
    """
    loaded = _load(file, configured)
    found = list(rows(loaded.config, asdict(loaded.directories), loaded.origin_of))
    if as_json:
        origins = {".".join(row.key): row.origin for row in found}
        output.data({"file": loaded.path, "values": as_tree(iter(found)), "origins": origins})
        return
    for line in as_yaml(iter(found), origins=origin):
        output.line(line)


@command.command("schema")
def schema() -> None:
    """Print the JSON schema of the configuration file, for editors."""
    output.line(schema_text().rstrip("\n"))
