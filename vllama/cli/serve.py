"""``vllama serve``: the daemon in the foreground, as systemd and ``make run`` start it."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from vllama import child, privacy
from vllama.cli import completion
from vllama.cli.bars import Bars
from vllama.cli.progress import Show, progress
from vllama.cli.startup import Startup
from vllama.config.directories import make_directories
from vllama.config.environment import environment
from vllama.config.load import load_config
from vllama.config.variables import unheeded
from vllama.errors import ConfigError
from vllama.observe import logs
from vllama.observe.feed import Feed
from vllama.service.named import Named
from vllama.service.serve import serve

_LOG: Final = logging.getLogger("vllama")
# Without click's own check that it is readable: an invalid configuration has its own exit status.
_LAST_THREADS: Final = 20.0
"""Seconds for threads that still work when the service has stopped."""
_CONFIG_FILE: Final = click.Path(path_type=Path, readable=False)


@click.command("serve")
@click.argument("models", nargs=-1, metavar="[MODEL]...", shell_complete=completion.models_and_catalog)
@click.option("--config", "file", type=_CONFIG_FILE, help="Configuration file (/etc/vllama.yaml).")
@click.option("--host", help="Address to listen on (server.host).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (server.port).")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much to log (log.level)."
)
def command(
    models: tuple[str, ...], file: Path | None, host: str | None, port: int | None, log_level: str | None
) -> None:
    """Serve until Ctrl-C or SIGTERM stops it.

    Each MODEL is pulled if it is missing, loaded at once and kept loaded. It is a name of the catalogue (qwen3:0.6b), a
    Hugging Face repository (org/name), a configured name, tinychat (vLLama's own small model), a directory, or
    NAME=SOURCE. All other installed models are loaded when a client requests them.
    """
    faulthandler.enable()  # when the watchdog aborts us, the journal has the stack of what hung
    environ = environment()
    if child.secrets_in(environ) or environ.get("NOTIFY_SOCKET"):  # not in a terminal: a debugger is of use there
        privacy.hide()
    flags = {"server.host": host, "server.port": port, "log.level": log_level}
    read = partial(load_config, file, environ=environ, flags=flags)
    loaded = read()
    journal = environ.get("JOURNAL_STREAM", "")
    logs.set_up(loaded.config.log.level, journal_stream=journal)
    if not journal and loaded.config.log.level == "info":
        logging.getLogger("vllama").setLevel(logging.WARNING)  # people read the progress instead
    for text in unheeded(environ):
        _LOG.warning("%s", text)
    refuse_root(loaded.state, child.service_user())
    make_directories(loaded.directories)
    named = Named(models, loaded)
    with progress(quiet=bool(journal)) as show:
        asyncio.run(named.pull_missing(loaded, environ, partial(_bars, show)))
    with progress(quiet=bool(journal)) as show:
        feed, startup = Feed(), Startup(show, named=bool(models), access=loaded.config.server.access)
        with feed.subscribed(startup.take), asyncio.Runner() as runner:
            try:
                runner.run(serve(loaded, named, environ, feed=feed, read=read))
            finally:
                _limit_last_wait()
        startup.stopped()


def _limit_last_wait() -> None:
    """Ends this process when the service has stopped. Threads that still wait for a disk are given up after a while."""
    timer = threading.Timer(_LAST_THREADS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def refuse_root(state: Path, service: int | None) -> None:
    """Root's engines would run code that engines of the ``service``'s user left. Raises ConfigError."""
    with suppress(OSError):
        if os.geteuid() == 0 and state.stat().st_uid == service:
            raise ConfigError(
                f"{state} belongs to {child.SERVICE_USER}, and root must not run code that its engines left there",
                hint=f"sudo systemctl start vllama, or sudo -u {child.SERVICE_USER} vllama serve",
            )


def _bars(show: Show, name: str) -> Callable[[Mapping[str, Any]], None]:
    show.say(f"pulling {name}")
    return Bars(show).line
