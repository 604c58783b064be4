"""Looks at the machine and at all that the service needs on it; changes nothing. ``service.checks`` judges."""

from __future__ import annotations

import ctypes
import getpass
import os
import pwd
import shutil
import sys
from pathlib import Path
from typing import Final

from vllama import child
from vllama.config.exposure import exposures
from vllama.config.load import Loaded
from vllama.engine import kept_code
from vllama.engine.compiled import CompiledCode
from vllama.errors import EngineNotInstalled
from vllama.fit.gpu import detect
from vllama.install.engines import locate
from vllama.install.prefix import install_command
from vllama.install.versions import PYTHONS
from vllama.models.names import parse_name
from vllama.models.store import ModelStore
from vllama.service.facts import EngineFact, Folder, MachineFacts, ModelFact, PackageManager, PortFact
from vllama.service.stock import open_store

_C_COMPILERS: Final = ("gcc", "clang")
"""Triton takes the first of them. (An engine does not get our CC and CXX.)"""
_CXX_COMPILER: Final = "g++"
"""torch's inductor takes no other one."""
_PCI: Final = Path("/sys/bus/pci/devices")
_NVIDIA_VENDOR: Final = "0x10de"
_DISPLAY_CLASS: Final = "0x03"


def look(
    loaded: Loaded,
    user: str,
    port: PortFact,
    config_path: str,
    problems: tuple[str, ...] = (),
    *,
    hidden: bool = False,
    store: ModelStore | None = None,
) -> MachineFacts:
    """Takes seconds: call it in a thread.

    ``user``: of the service. ``problems``: of its configuration. ``hidden``: its engine, directories and models may not
    be looked at. ``store``: of its models, where it is open already.
    """
    paths = loaded.directories
    return MachineFacts(
        python=sys.version_info[:3],
        user=user,
        config_path=config_path,
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
        models=() if hidden else _models(loaded, store or open_store(loaded)),
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


def _models(loaded: Loaded, store: ModelStore) -> tuple[ModelFact, ...]:
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
