"""Finding, installing and describing the engine: the public interface of this package."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vllama import child
from vllama.errors import EngineNotInstalled, InstallFailed
from vllama.install.capabilities import Capabilities, ask, probe, read_capabilities, shipped_registry
from vllama.install.prefix import SYSTEM, Home, Prefix, install_command
from vllama.install.registry import Registry
from vllama.install.run import Installation
from vllama.install.runner import Subprocesses
from vllama.install.versions import PINNED, TESTED, Backend, Choice, Devices, choose_backend, is_tested
from vllama.install.wanted import Audience, WantedEngine

_NVIDIA, _AMD = "0x10de", "0x1002"
_DISPLAY: Final = "0x03"
"""PCI class of display and 3D controllers."""


def locate(python: Path | None, prefix: Path, *, probes: Path | None = None) -> Capabilities:
    """The engine to run: the interpreter the configuration names, else the current one under ``prefix``.

    A configured interpreter is asked (8-18 s) the first time and whenever its vLLM changed; answers are kept under
    ``probes`` (default: ``prefix/probes``). The installed engine's answer was kept when it was installed, so that
    this costs one small file. Blocks: call it in a thread.

    Raises:
        EngineNotInstalled: no engine is installed; the hint is the command that installs one.
    """
    if python is not None:
        python = _absolute(python)
        return probe(python, _kept(python, prefix, probes))
    command = install_command(prefix)
    home = Prefix(prefix).current
    if home is None or not home.complete:
        raise EngineNotInstalled(
            "no vLLM engine is installed", hint=_install_hint(prefix), advice=f"Install it with: {command}"
        )
    if home.interpreter_gone:
        raise EngineNotInstalled(
            f"the Python that the vLLM engine was built with is missing ({home.python.resolve()}), "
            "as happens after a distribution upgrade",
            hint=_install_hint(prefix),
            advice=f"Install the engine again with: {command}",
        )
    known = read_capabilities(home.capabilities_file, home.python)
    # An earlier version of ours kept a shorter answer when it installed the engine. Root may own that file, so the new
    # answer is kept where the service may write.
    return known or probe(home.python, _kept(home.python, prefix, probes))


def _install_hint(prefix: Path) -> str:
    """For clients, which must not see a path: for the system's own folder, the command names the user (sudo)."""
    return f"Install it on the server: {install_command(prefix) if prefix == SYSTEM else 'vllama engine install'}"


def known_registry(python: Path | None, prefix: Path, *, probes: Path | None = None) -> Registry:
    """What the engine that ``locate`` finds knows about models. Only files are read; no interpreter is started.

    Without an engine: what the engine that we install knows. Before it was asked: that, and perhaps more.
    """
    where, known = _known(python, prefix, probes)
    if where is None:
        return shipped_registry()
    return known.registry if known is not None else replace(shipped_registry(), sure=False)


def known_version(python: Path | None, prefix: Path, *, probes: Path | None = None) -> str:
    """The version of the engine that ``locate`` finds, as of when it was asked; empty where it never was."""
    _, known = _known(python, prefix, probes)
    return known.version if known is not None else ""


def _known(python: Path | None, prefix: Path, probes: Path | None) -> tuple[Path | None, Capabilities | None]:
    """Its interpreter, and what it once answered."""
    home = None if python is not None else Prefix(prefix).current
    where = _absolute(python) if python is not None else home.python if home is not None else None
    if where is None:
        return None, None
    known = read_capabilities(home.capabilities_file, where) if home is not None else None
    return where, known or read_capabilities(_kept(where, prefix, probes), where)


def _absolute(python: Path) -> Path:
    """An interpreter is asked, and run, from another directory."""
    return python.absolute() if python.is_file() else python


def _kept(python: Path, prefix: Path, probes: Path | None) -> Path:
    """The file that holds an interpreter's answer."""
    return (probes or prefix / "probes") / f"{hashlib.sha256(str(python).encode()).hexdigest()[:16]}.json"


def interpreter(python: Path | None, prefix: Path) -> Path | None:
    """The interpreter that ``locate`` asks, without asking it; None where no usable engine is installed."""
    if python is not None:
        return python
    home = Prefix(prefix).current
    return home.python if home is not None and home.complete and not home.interpreter_gone else None


def install(wish: WantedEngine, audience: Audience) -> tuple[Capabilities, bool]:
    """Install the wished engine; returns it and whether anything had to be done.

    Raises:
        InstallFailed: says why and what to do; running it again goes on where it stopped.
    """
    own = Path(sys.executable).with_name("uv")
    uv = str(own) if own.is_file() else child.which("uv")
    return Installation(wish, audience, Subprocesses(), uv).run()


def choose_for_this_machine() -> Choice:
    """The backend that fits what is plugged in."""
    return choose_backend(devices())


def devices(pci: Path = Path("/sys/bus/pci/devices"), driver: Path = Path("/proc/driver/nvidia/version")) -> Devices:
    """Look for GPUs and the NVIDIA driver."""
    vendors = {_read(card / "vendor") for card in _entries(pci) if _read(card / "class").startswith(_DISPLAY)}
    return Devices(nvidia_card=_NVIDIA in vendors, nvidia_driver=driver.is_file(), amd_gpu=_AMD in vendors)


def rollback(prefix: Path) -> Capabilities:
    """Make the previous engine the current one, and the current one the previous.

    Raises:
        InstallFailed: there is no previous engine, or it can't be used any more.
    """
    folder = Prefix(prefix)
    previous = folder.previous
    known = None if previous is None else _answer_of(previous)
    if previous is None or known is None:
        raise InstallFailed("there is no previous engine to return to")
    if previous.interpreter_gone:
        raise InstallFailed(f"the previous engine's Python is missing ({previous.python.resolve()})")
    try:
        folder.publish(previous)
    except OSError as error:
        raise InstallFailed(f"can't write {prefix}: {error.strerror}", hint="Run it as root.") from error
    return known


def _answer_of(home: Home) -> Capabilities | None:
    """Kept with the engine, else asked again; None where it can't be used."""
    try:
        return read_capabilities(home.capabilities_file, home.python) or probe(home.python, home.capabilities_file)
    except EngineNotInstalled:
        return None


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What ``vllama engine status`` prints."""

    usable: bool
    problem: str
    """Why it can't be used; or, for a usable one, what is wrong with it. Empty: nothing."""
    hint: str
    capabilities: Capabilities | None = None
    path: Path | None = None
    """The venv's folder; None for an interpreter that the configuration names."""
    size: int | None = None
    """Bytes on the disk."""
    previous: str = ""
    """The engine that ``vllama engine rollback`` returns to."""


def status(python: Path | None, prefix: Path, *, probes: Path | None = None) -> EngineStatus:
    """Look at the engine that would be run, and try its interpreter."""
    folder = Prefix(prefix)
    home = None if python is not None else folder.current
    previous = "" if folder.previous is None else folder.previous.path.name
    try:
        found = locate(python, prefix, probes=probes)
        key = ask(found.python, "key")
    except EngineNotInstalled as error:
        halves = [half.path for half in folder.homes() if not half.complete] if python is None else []
        half = f"; a half-made one is in {halves[0]}" if halves and home is None else ""
        hint = error.advice or f"Install the engine again with: {install_command(prefix)} --force"
        return EngineStatus(False, error.detail + half, hint, path=home.path if home else None, previous=previous)  # noqa: FBT003 - the first field's name says it
    problem, hint = _judge(found, key)
    size = None if home is None else _size(home)
    return EngineStatus(not problem, problem, hint, found, home.path if home else None, size, previous)


def _judge(found: Capabilities, key: dict[str, str]) -> tuple[str, str]:
    if not key.get("vllm") or not key.get("torch"):
        lacking = "vLLM" if not key.get("vllm") else "torch"
        return f"{found.python} has no {lacking} any more", "Install the engine again: vllama engine install --force"
    return "", ""


def untested(version: str) -> str:
    """A sentence where this vLLM is outside what our tests have seen; else empty."""
    if is_tested(version):
        return ""
    low, high = (".".join(map(str, bound)) for bound in TESTED)
    return (
        f"vLLM {version} is untested: vLLama was tested with {low} up to, not including, {high} ({PINNED} is installed)"
    )


def _entries(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _size(home: Home) -> int:
    return sum(file.lstat().st_blocks * 512 for file in home.path.rglob("*"))


__all__ = [
    "Audience",
    "Backend",
    "EngineStatus",
    "WantedEngine",
    "choose_for_this_machine",
    "devices",
    "install",
    "interpreter",
    "known_registry",
    "known_version",
    "locate",
    "rollback",
    "status",
    "untested",
]
