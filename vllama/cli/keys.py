"""``vllama keys``: API keys for other machines."""

from __future__ import annotations

import shlex
from datetime import date
from pathlib import Path
from typing import cast

import click

from vllama.caller import Scope
from vllama.cli import output
from vllama.config.environment import environment
from vllama.config.keys import keys_file, make_key, read_keys, write_keys
from vllama.config.load import load_config
from vllama.errors import BadRequest, NotFound

_FILE = click.option("--config", "config", type=click.Path(path_type=Path), help="Configuration file.")


@click.group("keys")
def command() -> None:
    """Make, list and revoke API keys.

    Keys let other machines manage models, and use them where server.keys is 'required' or
    'everyone'. A change counts at once.
    """


@command.command("add")
@click.argument("name")
@click.option("--scope", type=click.Choice(["use", "manage"]), default="use", show_default=True, help="What it allows.")
@_FILE
def add(name: str, scope: str, config: Path | None) -> None:
    """Make a key called NAME and print it: it is shown only now."""
    file = _file(config)
    name = " ".join(name.split())
    if not name:
        raise click.UsageError("the key needs a name")
    keys = read_keys(file)
    if any(one.name == name for one in keys):
        raise BadRequest(
            f"there is a key called {name!r} already",
            hint=f"Take another name, or take that one back first: vllama keys revoke {shlex.quote(name)}",
        )
    key, secret = make_key(name, cast("Scope", scope), date.today().isoformat())  # noqa: DTZ011 - the day here
    write_keys(file, (*keys, key))
    output.line(secret)


@command.command("list")
@_FILE
def list_keys(config: Path | None) -> None:
    """Show every key's id, scope, day and name."""
    rows = [(key.id, key.scope, key.created, key.name) for key in read_keys(_file(config))]
    output.table(("ID", "SCOPE", "CREATED", "NAME"), rows)


@command.command("revoke")
@click.argument("key")
@_FILE
def revoke(key: str, config: Path | None) -> None:
    """Take the key back that has KEY as id or name."""
    file = _file(config)
    keys = read_keys(file)
    kept = tuple(one for one in keys if key not in {one.id, one.name})
    if kept == keys:
        raise NotFound(f"there is no key {key!r}", hint="See: vllama keys list")
    write_keys(file, kept)
    output.line(f"revoked {len(keys) - len(kept)} key{'s' if len(keys) - len(kept) > 1 else ''}")


def _file(config: Path | None) -> Path:
    environ = environment()
    loaded = load_config(config, environ=environ)
    return keys_file(loaded.config.server.keys_file, loaded.state, environ)
