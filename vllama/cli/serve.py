"""``vllama serve``: the daemon in the foreground, as systemd and ``make run`` start it."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from vllama import __version__, child, privacy
from vllama.cli.bars import Bars
from vllama.cli.progress import Show, progress
from vllama.config.directories import make_directories
from vllama.config.environment import environment
from vllama.config.load import Loaded, load_config
from vllama.config.ownership import sole_owner
from vllama.download.transfer import Downloads
from vllama.errors import ConfigError, NotFound, VllamaError
from vllama.http.ollama.progress import progress_lines
from vllama.models.catalog import Catalog
from vllama.models.catalogs import read_catalog
from vllama.models.library import Library
from vllama.models.model import Model
from vllama.models.names import parse_name, split_revision
from vllama.models.sources import parse_argument, parse_source
from vllama.models.store import ModelStore
from vllama.observe import logs
from vllama.service.pulling import make_puller
from vllama.service.serve import serve
from vllama.service.stock import open_store, registry_of
from vllama.supervisor.port import EngineView

# Without click's own check that it is readable: an invalid configuration has its own exit status.
_LAST_THREADS: Final = 20.0
"""Seconds for threads that still work when everything is taken down."""
_CONFIG_FILE: Final = click.Path(path_type=Path, readable=False)


@click.command("serve")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--config", "file", type=_CONFIG_FILE, help="Configuration file (/etc/vllama.yaml).")
@click.option("--host", help="Address to listen on (server.host).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (server.port).")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much to log (log.level)."
)
def command(
    models: tuple[str, ...], file: Path | None, host: str | None, port: int | None, log_level: str | None
) -> None:
    """Serve until stopped.

    Each MODEL is pulled if it is missing, loaded at once and kept loaded. It is a name in the catalogue (qwen3:0.6b), a
    Hugging Face repository (org/name), a configured name, tinychat (vLLama's own small model), a directory, or
    NAME=SOURCE. Other models are loaded when a client asks for them.
    """
    faulthandler.enable()  # when the watchdog aborts us, the journal has the stack of what hung
    environ = environment()
    if child.secrets_in(environ) or environ.get("NOTIFY_SOCKET"):  # not in a terminal: a debugger is of use there
        privacy.hide()
    flags = {"server.host": host, "server.port": port, "log.level": log_level}

    def read() -> Loaded:
        return load_config(file, environ=environ, flags=flags)

    loaded = read()
    journal = environ.get("JOURNAL_STREAM", "")
    logs.set_up(loaded.config.log.level, journal_stream=journal)
    if not journal and loaded.config.log.level == "info":
        logging.getLogger("vllama").setLevel(logging.WARNING)  # people read the progress instead
    refuse_root(loaded.state, child.service_user())
    make_directories(loaded.directories)
    library = Library(loaded.state)
    names = _names(models, _known(loaded, library), read_catalog(loaded.config.paths.catalog))
    extra = {name: source for name, source in names.items() if source is not None}
    store = open_store(loaded, extra, library)

    def read_again() -> tuple[Loaded, ModelStore]:
        fresh = read()
        return fresh, open_store(fresh, extra, store.shelf)

    with progress(quiet=bool(journal)) as show:
        asyncio.run(_pull_missing(names, store, loaded, environ, show))
    with progress(quiet=bool(journal)) as show:
        chosen = [replace(_find(store, name), pinned=True) for name in names]
        watcher = _Terminal(show, chosen)
        with asyncio.Runner() as runner:
            try:
                runner.run(serve(loaded, chosen, store, environ, watcher=watcher, read_again=read_again))
            finally:
                _wait_for_nobody()
        watcher.stopped()


def _wait_for_nobody() -> None:
    """Everything is taken down. A thread that still waits, for a disk that is gone, is given up after a while."""
    timer = threading.Timer(_LAST_THREADS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def refuse_root(state: Path, service: int | None) -> None:
    """Engines of root's would run what those of the ``service``'s user left. Raises ConfigError."""
    with suppress(OSError):
        if os.geteuid() == 0 and state.stat().st_uid == service:
            raise ConfigError(
                f"{state} belongs to {child.SERVICE_USER}, and root would run what its engines left there",
                hint=f"sudo systemctl start vllama, or sudo -u {child.SERVICE_USER} vllama serve",
            )


def _known(loaded: Loaded, library: Library) -> set[str]:
    """Keys of the names that need no source."""
    return {name.key for text in loaded.config.models if (name := parse_name(text)) is not None} | {*library.all()}


def _names(models: Sequence[str], known: Collection[str], catalog: Catalog) -> dict[str, str | None]:
    """The arguments' model names and, where they are given with one or need one, their sources."""
    found: dict[str, str | None] = {}
    for text in models:
        read = parse_argument(text, known, lambda place: Path(place).expanduser().is_dir())
        source = parse_source(read[1]) if read is not None and read[1] is not None else None
        name = parse_name(split_revision(text)[0])
        if read is None and name is not None and catalog.find(name) is not None:
            found[name.short] = None
        elif read is None:
            hint = (
                "Give a name of the catalogue (vllama catalog list), a configured one, tinychat, a directory, "
                "a repository (org/name) or NAME=SOURCE."
            )
            raise NotFound(f"there is no model {text!r}", hint=hint)
        elif source is not None and source.kind == "hub" and "=" not in text and name is not None:
            found[name.short] = None  # pulled like any other, and listed from then on
        else:
            found[read[0]] = read[1]
    return found


async def _pull_missing(
    names: Iterable[str], store: ModelStore, loaded: Loaded, environ: Mapping[str, str], show: Show
) -> None:
    """Bring the named models that are not on this machine yet."""
    wanted = [name for text in names if (name := parse_name(text)) is not None and store.find(name) is None]
    if not wanted:
        return
    with sole_owner(loaded.state):
        puller = make_puller(loaded, store, Downloads(loaded.state, environ, registry_of(loaded)), environ)
        for name in wanted:
            show.say(f"pulling {name.short.removesuffix(':latest')}")
            bars = Bars(show)
            async with aclosing(progress_lines(puller.pull(name))) as lines:
                async for line in lines:
                    bars.line(line)


def _find(store: ModelStore, text: str) -> Model:
    name = parse_name(text)
    if name is None or (model := store.find(name)) is None:
        problem = store.problem(name) if name is not None else None
        raise problem or NotFound(f"model {text!r} not found")
    return model


class _Terminal:
    """Shows on a terminal how the service starts; a ``service.serve.Watcher``. A closed terminal is no error."""

    def __init__(self, show: Show, named: Sequence[Model]) -> None:
        self._show = show
        self._named = named
        self._began = time.monotonic()
        self._url = ""
        self._doing: dict[str, str] = {}
        """What each starting or stopping engine is doing; there may be several."""

    def listening(self, host: str, port: int) -> None:
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._say(f"vLLama {__version__} listens on {self._url} (Ctrl-C stops it)")
        if not self._named:
            self._say("Models are loaded when a client asks for them.")

    def changed(self, engine: EngineView) -> None:
        name = engine.model.name.short
        match engine.phase:
            case "planning" | "starting" | "warming" | "waking" | "draining" | "failing" | "stopping" | "dozing":
                self._doing[name] = engine.stage
            case _:
                self._doing.pop(name, None)
        self._status("; ".join(f"{which}: {stage}" for which, stage in self._doing.items()))
        if engine.phase in {"backoff", "broken"}:
            self._say(f"{name}: {engine.cause}")

    def preloaded(self, model: Model, error: VllamaError | None) -> None:
        name = model.name.short.removesuffix(":latest")
        if error is not None:
            self._say(f"{name} could not be loaded: {error.detail}")
            if error.advice:
                self._say(f"  {error.advice}")
            return
        self._say(f"{name} is ready in {time.monotonic() - self._began:.0f} s. Try this in another terminal:")
        if model.facts.task == "embed":
            path, body = "/api/embed", f'{{"model": "{name}", "input": "Hello"}}'
        else:
            turn = '[{"role": "user", "content": "What is the capital of France?"}]'
            path, body = "/api/chat", f'{{"model": "{name}", "messages": {turn}}}'
        self._say(f"  curl {self._url}{path} -d '{body}'")

    def stopped(self) -> None:
        self._status("")
        self._say("vLLama has stopped")

    def _say(self, text: str) -> None:
        with suppress(OSError):
            self._show.say(text)

    def _status(self, text: str) -> None:
        with suppress(OSError):
            self._show.status(text)
