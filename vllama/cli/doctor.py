"""``vllama doctor``: checks everything that serving models needs, and prints what is missing and how to fix it."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any, Final

import click

from vllama.cli import output
from vllama.cli.progress import progress
from vllama.cli.remote import Broken, Refused, Remote, Unreachable
from vllama.cli.running import running_service
from vllama.config.address import Address, read_address
from vllama.config.environment import CHECKOUT, environment, shell
from vllama.config.load import load_config
from vllama.errors import ConfigError, VllamaError
from vllama.http.listener import bind, owner_of_port
from vllama.service.checks import Finding, examine
from vllama.service.examination import look
from vllama.service.facts import MachineFacts, Occupant, PortFact

_OWN_PLACES: Final = frozenset(
    ("VLLAMA_CONFIG", "VLLAMA_STATE_DIR", "VLLAMA_CACHE_DIR", "VLLAMA_RUNTIME_DIR", "VLLAMA_ENGINE_PREFIX")
)
"""Whoever sets one of these says which places are meant."""
_HARMLESS: Final = frozenset(
    ("HOME", "STATE_DIRECTORY", "CACHE_DIRECTORY", "RUNTIME_DIRECTORY", "XDG_DATA_HOME", "XDG_CACHE_HOME", CHECKOUT)
)
"""What can't be wrong about a configuration."""
_ANSWER_SECONDS: Final = 3.0
"""A program that has our port and does not answer within this time is neither Ollama nor vLLama."""


@click.command("doctor")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration file to check, instead of the running service's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(*, config_path: Path | None, as_json: bool) -> None:
    """Check whether this machine can serve models. Exit status 1 when something must be fixed."""
    with progress(quiet=as_json) as show:
        show.status("checking the machine")
        findings = examine(gather(config_path))
    healthy = all(finding.state != "bad" for finding in findings)
    if as_json:
        output.data({"healthy": healthy, "findings": [_as_dict(finding) for finding in findings]})
    else:
        _print(findings)
    if not healthy:
        raise click.exceptions.Exit(1)


def gather(config_path: Path | None) -> MachineFacts:
    """Look at the machine; nothing is changed. An invalid configuration is a finding, and then the defaults apply.

    If a service runs here and no place is configured for this command, the service's places are checked as its user.

    Raises ConfigError when the configuration can't be read at all.
    """
    environ, flags, user = environment(), dict[str, Any](), getpass.getuser()
    chosen = config_path is not None or bool(environ.keys() & _OWN_PLACES)
    service = None if chosen else running_service(read_address(shell().host).port)
    if service is not None:
        config_path, environ, flags, user = service.config, service.environ, {**service.flags}, service.user
    try:
        loaded = load_config(config_path, environ=environ, flags=flags)
        problems: tuple[str, ...] = ()
    except ConfigError as error:
        if not error.problems:
            raise
        problems = error.problems
        # go on with the defaults, to find what else is wrong
        loaded = load_config(Path(os.devnull), environ={name: environ[name] for name in _HARMLESS & environ.keys()})
    port = _port(loaded.config.server.host, loaded.config.server.port)
    hidden = not chosen and service is None and port.occupant == "vllama"
    return look(loaded, user, port, str(loaded.path or ""), problems, hidden=hidden)


def _port(host: str, port: int) -> PortFact:
    where = Address(host=host, port=port).authority
    occupant = _occupant_of(where)
    if occupant == "vllama":
        return PortFact(where, occupant)
    try:
        for listener in bind(host, port):
            listener.close()
    except VllamaError as error:
        if occupant == "ollama" and not owner_of_port(port):
            hint = "Stop it: sudo systemctl disable --now ollama"
            return PortFact(where, occupant, f"{where} is in use by Ollama", hint)
        return PortFact(where, occupant, error.detail, error.advice)
    return PortFact(where, "nobody")


def _occupant_of(where: str) -> Occupant:
    remote = Remote(where, answer_seconds=_ANSWER_SECONDS)
    try:
        remote.get("/api/version", "version")
    except Unreachable:
        return "nobody"
    except (Refused, Broken):
        return "other"
    return "vllama" if remote.has("/metrics") else "ollama"


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    marks = {"good": output.good("✓"), "warning": output.caution("!"), "bad": output.bad("✗")}
    for finding in findings:
        output.line(f"{marks[finding.state]} {finding.name.ljust(width)}  {finding.text}")
        if finding.fix:
            output.line(f"  {''.ljust(width)}  {output.bold(finding.fix)}")


def _as_dict(finding: Finding) -> dict[str, str]:
    return {"name": finding.name, "state": finding.state, "text": finding.text, "fix": finding.fix}
