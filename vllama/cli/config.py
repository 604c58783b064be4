"""``vllama config``: check the file, show what holds and where it comes from, print the schema."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from vllama.cli import output
from vllama.cli.surroundings import missing_things
from vllama.config.environment import environment
from vllama.config.explain import as_tree, as_yaml, rows
from vllama.config.exposure import exposures
from vllama.config.jsonschema import schema_text
from vllama.config.load import load_config
from vllama.config.variables import without_choices
from vllama.errors import ConfigError

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("config")
def command() -> None:
    """Check and explain the configuration."""


@command.command("check", short_help="Check the configuration and print every error.")
@click.argument("file", type=_FILE, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(file: Path | None, *, as_json: bool) -> None:
    """Read the configuration (FILE, else the one that the service uses) and print every error.

    It also reports what the configuration names but this machine lacks: directories, models to preload, an interpreter,
    flags of the installed engine. The service starts without those. Settings that open the service to strangers are
    warnings. If FILE is given, variables of this shell such as OLLAMA_HOST don't count: the service does not have them.
    Exit status 78 means that there is an error or that something is missing.
    """
    try:
        loaded = load_config(file, environ=without_choices(environment()) if file else environment())
        if missing := missing_things(loaded):
            raise ConfigError(
                f"the configuration names things that this machine lacks: {loaded.path or 'the defaults'}",
                problems=missing,
                hint="The service starts nevertheless. It refuses requests for what is missing.",
            )
    except ConfigError as error:
        if not as_json:
            raise
        output.data({"valid": False, "message": error.detail, "problems": list(error.problems)})
        raise click.exceptions.Exit(78) from error
    warnings = [f"{one.text}. {one.hint}" for one in exposures(loaded.config.server)]
    if as_json:
        output.data({"valid": True, "file": loaded.path, "problems": [], "warnings": warnings})
    else:
        for text in warnings:
            output.warning(text)
        output.line(f"{loaded.path} is valid" if loaded.path else "There is no configuration file; the defaults apply")


@command.command("show", short_help="Print every value in effect.")
@click.option("--config", "file", type=_FILE, help="Configuration file (/etc/vllama.yaml).")
@click.option("--origin", is_flag=True, help="Print where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print values and origins as JSON.")
def show(file: Path | None, *, origin: bool, as_json: bool) -> None:
    """Print every value in effect: defaults, shipped profiles, file and environment together."""
    loaded = load_config(file, environ=environment())
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
