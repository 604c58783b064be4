"""The service that runs on this machine: who it is and how it was started, as far as we may look at it.

So a command that looks at places sees those of the service: it may have been started by systemd as another user, or by
`make run` with directories of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import psutil

from vllama.cli import serve
from vllama.config.address import DEFAULT_PORT
from vllama.config.environment import CHECKOUT, environment
from vllama.config.load import Loaded, load_config
from vllama.errors import ConfigError

_VERB: Final = "serve"


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


def running_service(port: int) -> Running | None:
    """The service of that port; None where there is none, or one that we may not look at."""
    for service in _services():
        try:
            configured = service.load().config.server.port
        except ConfigError as error:
            if not error.problems:  # its file is gone
                continue
            configured = service.flags["server.port"] or DEFAULT_PORT  # it has become wrong since
        if configured == port:
            return service
    return None


def _services() -> Iterator[Running]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            words = process.cmdline()
            if _is_service(words):
                options = _options(words[words.index(_VERB) + 1 :])
                where = Path(process.cwd())
                config = where / options["file"] if options["file"] else None
                flags = {"server.host": options["host"], "server.port": options["port"]}
                environ = process.environ()
                if words[0] == sys.executable:  # our interpreter runs our code, which may lie in a checkout
                    environ = {name: value for name, value in environment().items() if name == CHECKOUT} | environ
                yield Running(process.username(), environ, config, flags)


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
