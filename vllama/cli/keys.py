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
from vllama.config.load import DEFAULT_PATH, load_config
from vllama.errors import BadRequest, NotFound, VllamaError

_FILE = click.option("--config", "config", type=click.Path(path_type=Path), help="Configuration file.")


@click.group("keys")
def command() -> None:
    """Create, list and revoke API keys.

    A key of scope 'manage' lets another machine manage models. If server.keys is 'required' or 'everyone', other
    machines need a key to use models. A change takes effect at once.
    """


@command.command("add")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["use", "manage"]),
    default="use",
    show_default=True,
    help="What the key allows: to use models, or also to manage them.",
)
@_FILE
def add(name: str, scope: str, config: Path | None) -> None:
    """Create a key called NAME and print it. It is never shown again."""
    file = _file(config)
    name = " ".join(name.split())
    if not name:
        raise click.UsageError("the key needs a name")
    keys = read_keys(file)
    if any(one.name == name for one in keys):
        raise BadRequest(
            f"there is already a key called {name!r}",
            hint=f"Choose another name, or revoke that key first: vllama keys revoke {shlex.quote(name)}",
        )
    key, secret = make_key(name, cast("Scope", scope), date.today().isoformat())  # noqa: DTZ011 - the day here
    write_keys(file, (*keys, key))
    output.line(secret)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the keys as JSON.")
@_FILE
def list_keys(config: Path | None, *, as_json: bool) -> None:
    """Print the id, scope, day and name of every key."""
    keys = read_keys(_file(config))
    if as_json:
        data = [{"id": key.id, "scope": key.scope, "created": key.created, "name": key.name} for key in keys]
        output.data({"keys": data})
        return
    rows = [(key.id, key.scope, key.created, key.name) for key in keys]
    output.table(("ID", "SCOPE", "CREATED", "NAME"), rows)


def _names(context: click.Context, _parameter: click.Parameter, start: str) -> list[str]:
    """For the shell: names of keys, and the ids of those whose name has blanks. Without keys to read, nothing."""
    try:
        keys = read_keys(_file(context.params.get("config")))
    except VllamaError:
        return []
    names = (key.id if len(key.name.split()) > 1 else key.name for key in keys)
    return [name for name in names if name.startswith(start)]


@command.command("revoke")
@click.argument("key", shell_complete=_names)
@_FILE
def revoke(key: str, config: Path | None) -> None:
    """Revoke the key whose id or name is KEY."""
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
    file = keys_file(loaded.config.server.keys_file, loaded.state, environ)
    if loaded.path == DEFAULT_PATH and file == loaded.state / "keys":
        output.note(f"These are the keys of your own service ({file}). The system's service: sudo vllama keys")
    return file
