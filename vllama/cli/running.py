"""The service that runs on this machine: its user and how it was started, as far as we may see that.

Commands that look at directories use it to find those of the service. systemd may have started it as another user, or
`make run` with directories of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import psutil

from vllama import child
from vllama.cli import serve
from vllama.config.address import DEFAULT_PORT
from vllama.config.environment import CHECKOUT, environment
from vllama.config.load import Loaded, load_config
from vllama.errors import ConfigError

_VERB: Final = "serve"
_ASK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """One ``vllama serve``."""

    user: str
    environ: Mapping[str, str]
    config: Path | None
    """Its ``--config``."""
    flags: Mapping[str, Any]
    """Its other options, as ``config.load`` takes them."""

    def load(self) -> Loaded:
        """The configuration as it would read it now; raises ConfigError."""
        return load_config(self.config, environ=self.environ, flags=self.flags)


def _main_pid() -> int:
    """The process of the system's service as systemd knows it; 0 where it does not run."""
    command = ["systemctl", "show", "--property=MainPID", "--value", "vllama.service"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_ASK_SECONDS, check=False, **child.start())
        return int(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


def running_service(port: int, *, main_pid: Callable[[], int] = _main_pid) -> Running | None:
    """The service on that port; None if there is no such service, or if we may not see it or can't trust it.

    Trusted are the system's service (``main_pid``, from systemd) and processes of root, of the service's user and of
    our own user: any other user can start a process that looks like ours.
    """
    for service in _services(main_pid()):
        try:
            configured = service.load().config.server.port
        except ConfigError as error:
            if not error.problems:  # its file is gone
                continue
            configured = service.flags["server.port"] or DEFAULT_PORT  # it has become wrong since
        if configured == port:
            return service
    return None


def _services(main: int) -> Iterator[Running]:
    processes = sorted(psutil.process_iter(), key=lambda process: (process.pid != main, process.pid))
    for process in processes:
        with suppress(psutil.Error, OSError):
            words = process.cmdline()
            if _is_service(words) and (process.pid == main or _believed(process)):
                yield _running(process, words)


def _believed(process: psutil.Process) -> bool:
    """Whether all its user ids are trusted. A set-user-id program that another user started has that user's real id."""
    return {*process.uids()} <= {0, os.geteuid(), child.service_user()}


def _running(process: psutil.Process, words: Sequence[str]) -> Running:
    options = _options(words[words.index(_VERB) + 1 :])
    try:
        environ: Mapping[str, str] = process.environ()
        where = Path(process.cwd())
    except psutil.AccessDenied:
        if os.geteuid() != process.uids().effective or os.geteuid() == 0:
            raise
        # it hides its memory even from its user: assume that its environment is like ours
        environ, where = environment(), Path("/")
    config = where / options["file"] if options["file"] else None
    flags = {"server.host": options["host"], "server.port": options["port"]}
    if words[0] == sys.executable:  # our interpreter runs our code, which may lie in a checkout
        environ = {name: value for name, value in environment().items() if name == CHECKOUT} | dict(environ)
    return Running(process.username(), environ, config, flags)


def _is_service(words: Sequence[str]) -> bool:
    """``python .../bin/vllama serve ...`` or ``python -m vllama serve ...``."""
    if _VERB not in words:
        return False
    program = words[words.index(_VERB) - 1]
    return Path(program).name == "vllama" and Path(words[0]).name.startswith(("python", "vllama"))


def _options(words: Sequence[str]) -> Mapping[str, Any]:
    context = click.Context(serve.command, resilient_parsing=True)
    serve.command.parse_args(context, [*words])
    return context.params
