"""``vllama launch``: run a coding agent with a model of the service."""

from __future__ import annotations

from typing import Any

import click

from vllama import child
from vllama.cli import completion, output
from vllama.cli.agents import AGENTS, Use
from vllama.cli.chat.loading import load
from vllama.cli.keeping import keep_alive
from vllama.cli.remote import Remote, service_options
from vllama.config.environment import environment
from vllama.errors import BadRequest, NotFound
from vllama.models.names import parse_name


@click.command("launch")
@click.argument("agent", type=click.Choice(list(AGENTS)))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--model", default="", metavar="NAME", shell_complete=completion.models, help="The model [default: the loaded one]."
)
@click.option("--run", is_flag=True, help="Load the model and run the agent.")
@click.option(
    "--keep",
    callback=keep_alive,
    default="1h",
    show_default=True,
    metavar="DURATION",
    help="With --run: how long the model stays loaded without requests. Unloading it empties its prefix cache.",
)
@service_options
def command(*, agent: str, arguments: tuple[str, ...], model: str, run: bool, keep: str, host: str) -> None:
    """Print the settings with which AGENT uses a model of the service; with --run, run it with ARGUMENTS.

    The settings are variables and arguments. No file is changed. All tasks of the agent use the one model, so they
    share its prefix cache. Write -- before ARGUMENTS: vllama launch codex --run -- exec "Say hello"
    """
    remote = Remote(host)
    chosen = model or _only_model(remote)
    answer = remote.post("/api/show", {"model": chosen}, "model_info")
    if "tools" not in (answer.get("capabilities") or []):
        output.warning(f"{chosen} can't call tools, and agents need that")
    use = Use(remote.address.url, chosen, remote.key.key, _context(remote, chosen))
    setup = AGENTS[agent](use)
    if not run:
        for line in setup.lines(secret=use.key):
            output.line(line)
        return
    program = child.which(setup.program)
    if program is None:
        raise NotFound(f"{setup.program} is not installed, or not in PATH", hint=setup.install)
    load(remote, chosen, keep)
    setup = AGENTS[agent](Use(use.url, use.model, use.key, _context(remote, chosen)))
    for line in setup.lines(secret=use.key):
        output.note(line)
    environ = {name: value for name, value in environment().items() if name not in setup.unset}
    child.become([program, *setup.arguments, *arguments], {**environ, **setup.env})


def _only_model(remote: Remote) -> str:
    """The loaded model, else the only one that is installed. Raises BadRequest."""
    for path in ("/api/ps", "/api/tags"):
        names = [str(one.get("name", "")) for one in remote.get(path, "models")["models"]]
        if len(names) == 1:
            return names[0].removesuffix(":latest")
        if names:
            raise BadRequest("there are several models", hint=f"Name one with --model: {', '.join(sorted(names))}")
    raise BadRequest("the service has no models", hint="vllama pull qwen3:8b")


def _context(remote: Remote, model: str) -> int | None:
    """Tokens of the loaded engine; None if the model is not loaded."""
    wanted = parse_name(model)
    models: list[dict[str, Any]] = remote.get("/api/ps", "models")["models"]
    for one in models:
        name, context = parse_name(str(one.get("name", ""))), one.get("context_length")
        if name is not None and wanted is not None and name.key == wanted.key and isinstance(context, int) and context:
            return context
    return None
