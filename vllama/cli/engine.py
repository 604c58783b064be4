"""``vllama engine``: install vLLM into an interpreter of its own, show its state, return to the previous one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import click
from click.core import ParameterSource

from vllama.cli import output
from vllama.cli.progress import Bar, Show, progress
from vllama.cli.whose import note_whose
from vllama.config.environment import environment
from vllama.config.load import load_config
from vllama.errors import InstallFailed
from vllama.install import engines as engine
from vllama.install.engines import Backend, EngineStatus, WantedEngine
from vllama.install.prefix import SYSTEM
from vllama.install.versions import PINNED, ROCM_REFUSAL
from vllama.redaction import without_passwords
from vllama.sizes import human_bytes

_TORCH_INDEX: Final = "VLLAMA_TORCH_INDEX"
_PREFIX_HELP: Final = "Folder of the engines (engine.prefix)."
_CONFIG_HELP: Final = "Configuration file (/etc/vllama.yaml)."


@click.group("engine")
def command() -> None:
    """Install vLLM in its own interpreter, show its state, or return to the previous one."""


@command.command("install")
@click.option(
    "--backend",
    type=click.Choice(["cpu", "cuda", "rocm"]),
    help="Which build (rocm is refused); else what fits the GPU.",
)
@click.option("--prefix", type=click.Path(path_type=Path), help=_PREFIX_HELP)
@click.option("--python", help="Python to build it with: a path or a version such as 3.12.")
@click.option(
    "--torch-index",
    metavar="URL",
    envvar=_TORCH_INDEX,
    help=f"Another index for the CPU build of torch. Pass one with a password in {_TORCH_INDEX} instead.",
)
@click.option("--force", is_flag=True, help="Install again although it is installed.")
@click.option("--config", "file", type=click.Path(path_type=Path), help=_CONFIG_HELP)
def install(  # noqa: PLR0917 - click passes them by name
    backend: str | None,
    prefix: Path | None,
    python: str | None,
    torch_index: str | None,
    force: bool,
    file: Path | None,
) -> None:
    """Install vLLM, with every package checked against its hash.

    One package may be unchecked, and a message says so: the CPU build of torch, for a Python that our lock has no hash
    for.

    You can stop the command and run it again: it continues where it stopped. It switches to the new engine at the very
    end, and keeps the previous one (vllama engine rollback).
    """
    if backend == "rocm":
        raise InstallFailed("the ROCm build can't be installed by vLLama", hint=_sentence(ROCM_REFUSAL))
    typed = click.get_current_context().get_parameter_source("torch_index") is ParameterSource.COMMANDLINE
    if typed and torch_index != without_passwords(torch_index or ""):
        output.warning(
            f"other users can read the password in --torch-index: pass the address in {_TORCH_INDEX} instead"
        )
    loaded = load_config(file, environ=environment())
    reason = "asked for"
    if backend is None:
        backend, reason = (choice := engine.choose_for_this_machine()).backend, choice.reason
    wish = WantedEngine(_absolute(prefix) or loaded.engine_prefix, cast("Backend", backend), python, torch_index, force)
    with progress() as show:
        watch = _Watch(show, f"installing vLLM {PINNED} for {backend}: {reason}")
        found, new = engine.install(wish, watch)
        watch.finish()
    if new:
        output.note(f"vLLM {found.version} for {found.backend} is installed in {wish.prefix}{_in_use(wish.prefix)}")
    else:
        output.note(f"vLLM {found.version} for {found.backend} is already installed in {wish.prefix} (again: --force)")
    if loaded.config.engine.python is not None:
        output.warning(f"the configuration names another interpreter: engine.python is {loaded.config.engine.python}")


@command.command("status", short_help="Show version, backend, size, and whether it is usable.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--prefix", type=click.Path(path_type=Path), help=_PREFIX_HELP)
@click.option("--config", "file", type=click.Path(path_type=Path), help=_CONFIG_HELP)
def status(as_json: bool, prefix: Path | None, file: Path | None) -> None:
    """Show version, backend, size, and whether the engine is usable; exit status 1 when it is not."""
    loaded = load_config(file, environ=environment())
    folder = _absolute(prefix) or loaded.engine_prefix
    if prefix is None:
        note_whose(loaded, environment(), "engine status")
    found = engine.status(loaded.config.engine.python, folder, probes=loaded.cache)
    if as_json:
        output.data(_as_json(found))
    else:
        for label, value in _as_lines(found):
            output.line(f"{label + ':':<10} {value}")
        if found.hint:
            output.note(found.hint)
    if not found.usable:
        raise click.exceptions.Exit(1)


@command.command("rollback")
@click.option("--prefix", type=click.Path(path_type=Path), help=_PREFIX_HELP)
@click.option("--config", "file", type=click.Path(path_type=Path), help=_CONFIG_HELP)
def rollback(prefix: Path | None, file: Path | None) -> None:
    """Return to the engine that was current before the last install. Run twice, it returns to the newer one."""
    loaded = load_config(file, environ=environment())
    folder = _absolute(prefix) or loaded.engine_prefix
    found = engine.rollback(folder)
    output.note(f"vLLM {found.version} for {found.backend} is the current engine again{_in_use(folder)}")


def _absolute(prefix: Path | None) -> Path | None:
    return None if prefix is None else prefix.expanduser().absolute()


def _in_use(prefix: Path) -> str:
    """What a running service does with an engine that has just become the current one."""
    at_once = " (sudo systemctl reload vllama: reloads those that are already loaded)" if prefix == SYSTEM else ""
    return f"; models are loaded with it from now on{at_once}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _as_lines(found: EngineStatus) -> list[tuple[str, str]]:
    lines = [("usable", output.good("yes") if found.usable else output.bad(f"no, {found.problem}"))]
    if known := found.capabilities:
        lines += [
            ("version", known.version),
            ("backend", known.backend),
            ("torch", known.torch),
            ("python", f"{known.interpreter} ({known.python})"),
        ]
        if warning := engine.untested(known.version):
            lines.append(("note", output.caution(warning)))
    if found.path is not None:
        lines.append(("folder", str(found.path)))
    if found.size is not None:
        lines.append(("size", human_bytes(found.size)))
    if found.previous:
        lines.append(("previous", found.previous))
    return lines


def _as_json(found: EngineStatus) -> dict[str, Any]:
    """What is not known is left out."""
    known = found.capabilities
    fields: dict[str, Any] = {"usable": found.usable, "problem": found.problem, "hint": found.hint}
    if known is not None:
        fields |= {
            "version": known.version,
            "backend": known.backend,
            "torch": known.torch,
            "interpreter": known.interpreter,
            "python": str(known.python),
            "tool_parsers": sorted(known.tool_parsers),
            "reasoning_parsers": sorted(known.reasoning_parsers),
        }
    fields |= {"path": str(found.path) if found.path else "", "size": found.size, "previous": found.previous}
    return {key: value for key, value in fields.items() if value not in ("", None)}


@dataclass(slots=True)
class _Watch:
    """Shows an installation on the terminal. Its bar appears with the first step: nothing to do shows no bar."""

    show: Show
    headline: str
    _bar: Bar | None = None

    def step(self, percent: float, doing: str) -> None:
        if self._bar is None:
            self.show.say(self.headline)
            self._bar = self.show.bar("installing", total=100.0)
        self._bar.update(percent, note=doing)

    def note(self, text: str) -> None:
        self.show.say(text)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.finish()
