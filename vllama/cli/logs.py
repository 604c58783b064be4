"""``vllama logs``: the journal of the service and its engines."""

from __future__ import annotations

import subprocess

import click

from vllama import child
from vllama.cli import completion, output
from vllama.errors import NotFound
from vllama.models.names import parse_name

_UNIT = "_SYSTEMD_UNIT=vllama.service"


@click.command("logs")
@click.argument("model", required=False, shell_complete=completion.models)
@click.option("-f", "--follow", is_flag=True, help="Keep showing new entries.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="How many of the last entries to show.",
)
@click.option("-p", "--priority", help="Only entries of at least this priority: err, warning, info, debug.")
@click.option("--since", help="Only entries since then: '10 min ago', '2026-11-21 15:00'.")
def command(model: str | None, follow: bool, lines: int, priority: str | None, since: str | None) -> None:
    """Show the service's journal; with MODEL, only the entries about that model and the output of its engine."""
    journalctl = child.which("journalctl")
    if journalctl is None:
        raise NotFound("this machine has no systemd journal", hint="'vllama serve' in a terminal writes its log there.")
    if not _said_anything(journalctl):
        missing = "the journal has nothing of vllama.service, or nothing that you may read"
        hint = "The system service: sudo vllama logs. In a checkout: see the terminal of 'make run'"
        if not follow:
            raise NotFound(missing, hint=hint)
        output.note(f"{missing}. {hint}")
    child.replace([journalctl, *_arguments(model, follow, lines, priority, since)])


def _said_anything(journalctl: str) -> bool:
    """Whether there is one entry of the service at all."""
    asked = [journalctl, "--quiet", "--no-pager", "--lines=1", "--output=cat", "--output-fields=_PID", _UNIT]
    found = subprocess.run(asked, capture_output=True, stdin=subprocess.DEVNULL, check=False, **child.start())
    return bool(found.stdout.strip() or found.stderr.strip())  # journalctl itself prints what is wrong


def _arguments(model: str | None, follow: bool, lines: int, priority: str | None, since: str | None) -> list[str]:
    """journalctl's own words for what was asked."""
    arguments = [f"--lines={lines}", _UNIT]
    if follow:
        arguments.append("--follow")
    if priority:
        arguments.append(f"--priority={priority}")
    if since:
        arguments.append(f"--since={since}")
    if model is not None:
        name = parse_name(model)
        arguments.append(f"VLLAMA_MODEL={name.short if name is not None else model}")
    return arguments
