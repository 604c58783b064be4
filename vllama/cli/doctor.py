"""``vllama doctor``: checks everything that serving models needs, and prints what is missing and how to fix it."""

from __future__ import annotations

import ctypes
import getpass
import os
import pwd
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import click

from vllama import child
from vllama.cli import output
from vllama.cli.checks import Finding, examine
from vllama.cli.facts import EngineFact, Folder, MachineFacts, ModelFact, Occupant, PackageManager, PortFact
from vllama.cli.progress import progress
from vllama.cli.remote import Broken, Refused, Remote, Unreachable
from vllama.cli.running import running_service
from vllama.config.address import Address, read_address
from vllama.config.environment import CHECKOUT, environment, shell
from vllama.config.exposure import exposures
from vllama.config.load import Loaded, load_config
from vllama.engine import kept_code
from vllama.engine.compiled import CompiledCode
from vllama.errors import ConfigError, EngineNotInstalled, VllamaError
from vllama.fit.gpu import detect
from vllama.http.listener import bind, owner_of_port
from vllama.install.engines import locate
from vllama.install.prefix import install_command
from vllama.install.versions import PYTHONS
from vllama.models.names import parse_name
from vllama.service.stock import open_store

_OWN_PLACES: Final = frozenset(
    ("VLLAMA_CONFIG", "VLLAMA_STATE_DIR", "VLLAMA_CACHE_DIR", "VLLAMA_RUNTIME_DIR", "VLLAMA_ENGINE_PREFIX")
)
"""Whoever sets one of these says which places are meant."""
_HARMLESS: Final = frozenset(
    ("HOME", "STATE_DIRECTORY", "CACHE_DIRECTORY", "RUNTIME_DIRECTORY", "XDG_DATA_HOME", "XDG_CACHE_HOME", CHECKOUT)
)
"""What can't be wrong about a configuration."""
_C_COMPILERS: Final = ("gcc", "clang")
"""Triton takes the first of them. (An engine does not get our CC and CXX.)"""
_CXX_COMPILER: Final = "g++"
"""torch's inductor takes no other one."""
_ANSWER_SECONDS: Final = 3.0
"""A program that has our port and does not answer within this time is neither Ollama nor vLLama."""
_PCI: Final = Path("/sys/bus/pci/devices")
_NVIDIA_VENDOR: Final = "0x10de"
_DISPLAY_CLASS: Final = "0x03"


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
    paths = loaded.directories
    return MachineFacts(
        python=sys.version_info[:3],
        user=user,
        config_path=str(loaded.path or ""),
        config_problems=problems,
        engine=EngineFact() if hidden else _engine(loaded),
        engine_pythons=tuple(filter(None, (child.which(f"python{major}.{minor}") for major, minor in PYTHONS))),
        install_command=install_command(paths.engine_prefix),
        hardware=detect(),
        nvidia_card=_nvidia_card(),
        c_compiler=next(filter(None, map(child.which, _C_COMPILERS)), ""),
        cxx_compiler=child.which(_CXX_COMPILER) or "",
        libnuma=_loads("libnuma.so.1"),
        compiled=0 if hidden else sum(CompiledCode(one).count() for one in kept_code.folders_in(paths.cache)),
        places=() if hidden else _places(loaded, user),
        port=port,
        models=() if hidden else _models(loaded),
        hidden_service=hidden,
        packages=_packages(),
        load=os.getloadavg()[0],
        exposures=tuple(exposures(loaded.config.server)),
        starts=() if hidden else kept_code.starts(paths.cache),
    )


def _places(loaded: Loaded, user: str) -> tuple[Folder, ...]:
    paths, me = loaded.directories, getpass.getuser()
    places = [("models", paths.state, user), ("cache", paths.cache, user), ("runtime", paths.runtime, user)]
    if not loaded.config.engine.python:  # the person who types the command installs engines
        places.append(("engine", paths.engine_prefix, me))
    return tuple(_place(*place) for place in places)


def _engine(loaded: Loaded) -> EngineFact:
    try:
        found = locate(loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache)
    except EngineNotInstalled as error:
        return EngineFact(problem=error.detail, hint=error.advice)
    return EngineFact(found.version, found.backend, str(found.python))


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _packages() -> PackageManager:
    # a Debian may have dnf too, which knows no repository there; a Fedora has no apt-get
    if child.which("apt-get"):
        return "apt"
    return "dnf" if child.which("dnf") else ""


def _nvidia_card() -> bool:
    """Whether the PCI bus has an NVIDIA display device, driver or not."""
    try:
        devices = [device for device in _PCI.iterdir() if (device / "vendor").read_text().strip() == _NVIDIA_VENDOR]
        return any((device / "class").read_text().startswith(_DISPLAY_CLASS) for device in devices)
    except OSError:
        return False


def _place(purpose: str, path: Path, user: str) -> Folder:
    # what we may not look into counts as missing
    there = next((folder for folder in (path, *path.parents) if os.path.exists(folder)), Path("/"))  # noqa: PTH110
    strange, owner = _strange(path)
    return Folder(purpose, path, shutil.disk_usage(there).free, _may_write(there, user), strange, owner)


def _may_write(folder: Path, user: str) -> bool:
    """Whether ``user`` may make files in ``folder``."""
    if user == getpass.getuser():
        return os.access(folder, os.W_OK | os.X_OK)
    entry, found = pwd.getpwnam(user), folder.stat()
    bits = found.st_mode & 0o7
    if found.st_uid == entry.pw_uid:
        bits = found.st_mode >> 6 & 0o7
    elif found.st_gid in os.getgrouplist(user, entry.pw_gid):
        bits = found.st_mode >> 3 & 0o7
    return entry.pw_uid == 0 or bits & 0o3 == 0o3


def _strange(folder: Path) -> tuple[str, str]:
    """An entry that belongs to another user than ``folder`` itself, and that one's name; empty where all is in order.

    This happens when root runs a command that the service's user should have run.
    """
    try:
        owner = folder.stat().st_uid
        strange = next((entry for entry in sorted(folder.iterdir()) if entry.lstat().st_uid != owner), None)
        return ("", "") if strange is None else (strange.name, folder.owner())
    except (OSError, KeyError):  # it is not there yet, not ours to read, or of a user without a name
        return "", ""


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


def _models(loaded: Loaded) -> tuple[ModelFact, ...]:
    store = open_store(loaded)
    facts = []
    for text in loaded.config.models:
        name = parse_name(text)
        if name is None:  # the schema has refused it already
            continue
        model, problem = store.find(name), store.problem(name)
        if model is not None:
            facts.append(ModelFact(text, model.size))
        elif problem is not None:
            facts.append(ModelFact(text, problem=problem.detail, hint=problem.advice))
    return tuple(facts)


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    marks = {"good": output.good("✓"), "warning": output.caution("!"), "bad": output.bad("✗")}
    for finding in findings:
        output.line(f"{marks[finding.state]} {finding.name.ljust(width)}  {finding.text}")
        if finding.fix:
            output.line(f"  {''.ljust(width)}  {output.bold(finding.fix)}")


def _as_dict(finding: Finding) -> dict[str, str]:
    return {"name": finding.name, "state": finding.state, "text": finding.text, "fix": finding.fix}
