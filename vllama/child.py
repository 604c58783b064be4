"""How each child process is started: it runs nothing from the caller's directory.

A person may call us from a directory that others fill: a cloned model, /tmp. So a child works in a directory of its
own. Python looks for no module in the current directory, and relative entries of PATH are left out. Only children that
get secrets explicitly have them in their environment. As root we run no interpreter that another user can change.

    subprocess.run(command, **child.start())
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import stat
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NoReturn, TypedDict

SAFE_PATH: Final[Mapping[str, str]] = {"PYTHONSAFEPATH": "1"}
"""Python leaves the current directory, and a script's own, out of ``sys.path``. Children of children inherit it."""
SECRETS: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Variables that a child sees only when it is given them by ``more``."""
SERVICE_USER: Final = "vllama"
"""The user of the system's service (``packaging/systemd/vllama.sysusers``)."""
_ROOT: Final = Path("/")
_MOST_LINKS: Final = 40


class StartOptions(TypedDict):
    """What ``subprocess`` and ``asyncio.create_subprocess_exec`` take by these names."""

    env: dict[str, str]
    cwd: Path
    user: int | None
    group: int | None
    extra_groups: list[int] | None


def start(
    environ: Mapping[str, str] | None = None,
    *,
    more: Mapping[str, str] | None = None,
    cwd: Path = _ROOT,
    user: int | None = None,
) -> StartOptions:
    """In which directory and as which user a child starts.

    ``environ``: its environment instead of ours, of either without secrets. ``more``: added as it is. ``user``: as
    root, the user id that it runs as.
    """
    env = {**SAFE_PATH, **without_secrets(os.environ if environ is None else environ), **(more or {})}
    if "PATH" in env:
        env["PATH"] = _absolute_only(env["PATH"])
    mine = user is None or user == os.geteuid()
    return StartOptions(env=env, cwd=cwd, user=None if mine else user, **_groups(None if mine else user))


def module(name: str) -> tuple[str, ...]:
    """The command that runs a module of ours with our own interpreter."""
    return (sys.executable, "-P", "-m", name)


def replace(command: list[str]) -> NoReturn:
    """Run ``command``, an absolute path with its arguments, instead of this process."""
    started = start()
    os.chdir(started["cwd"])
    os.execve(command[0], command, started["env"])  # noqa: S606 - no shell is wanted


def become(command: list[str], environ: Mapping[str, str]) -> NoReturn:
    """As ``replace``, for a person's own program: in the current directory, with ``environ`` as it is."""
    os.execve(command[0], command, dict(environ))  # noqa: S606 - no shell is wanted


def which(name: str) -> str | None:
    """The absolute path of a command: a path is unchanged, a name is looked up in PATH's absolute entries."""
    found = shutil.which(name, path=_absolute_only(os.environ.get("PATH", os.defpath)))
    return None if found is None else os.path.abspath(found)  # noqa: PTH100 - a venv's python is a link to keep


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment that any child may see."""
    return {name: value for name, value in environ.items() if name not in SECRETS}


def secrets_in(environ: Mapping[str, str]) -> dict[str, str]:
    """What ``without_secrets`` leaves out."""
    return {name: environ[name] for name in SECRETS if name in environ}


def service_user() -> int | None:
    """The user id of the system's service; None where it is not installed."""
    try:
        return pwd.getpwnam(SERVICE_USER).pw_uid
    except KeyError:
        return None


def as_whom(python: Path, service: int | None) -> int | None:
    """The user id under which to run an interpreter that a configuration names; None: our own.

    Root runs it as the service's user, unless only root can reach it. As root, raises PermissionError for one that any
    other user can change, and OSError for one that is missing. ``service``: ``service_user()``.
    """
    if os.geteuid() != 0:
        return None
    parts = _parts(python)
    parts[0].stat()
    reason = next(filter(None, (weakness(part, {0, service or 0}) for part in parts)), "")
    if reason:
        raise PermissionError(errno.EPERM, f"root does not run what others can change ({reason})")
    return None if any(_only_roots(folder) for folder in parts[0].parents) else service


def _only_roots(folder: Path) -> bool:
    found = folder.stat()
    return found.st_uid == 0 and not found.st_mode & (stat.S_IXGRP | stat.S_IXOTH)


def become_owner(folder: Path) -> None:
    """As root, for good: become the owner of ``folder``, who may have changed the programs in it."""
    try:
        owner = folder.stat().st_uid
    except OSError:
        return
    if os.geteuid() == 0 and owner != 0:
        groups = _groups(owner)
        os.setgroups(groups["extra_groups"] or [])
        os.setresgid(*[groups["group"] or owner] * 3)
        os.setresuid(owner, owner, owner)


def _parts(python: Path) -> list[Path]:
    """What an interpreter runs: itself and, of a venv, the packages."""
    found = which(str(python))
    home = Path(found or python).absolute().parents[1]
    return [Path(found or python), *home.glob("pyvenv.cfg"), *home.glob("lib/python*/site-packages")]


def weakness(program: Path, trusted: Collection[int]) -> str:
    """Why a user outside the ``trusted`` ids can change what ``program`` runs; empty if none can.

    Looks at each directory and link on the way, as the kernel would walk it.
    """
    pending, place, links = list(reversed(program.absolute().parts[1:])), _ROOT, 0
    while pending:
        part = pending.pop()
        place = place.parent if part == ".." else place / part
        try:
            found = place.lstat()
        except OSError as error:
            return f"{place}: {error.strerror or error}"
        if reason := _open_to_others(place, found, trusted):
            return reason
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > _MOST_LINKS:
                return f"{program} is a circle of links"
            target = place.readlink()
            place = _ROOT if target.is_absolute() else place.parent
            pending += reversed([part for part in target.parts if part != "/"])
    return ""


def _open_to_others(place: Path, found: os.stat_result, trusted: Collection[int]) -> str:
    if found.st_uid not in trusted:
        return f"{place} belongs to {_name(found.st_uid)}"
    if stat.S_ISLNK(found.st_mode):
        return ""  # a link has no permissions
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX  # others can't replace what is not theirs
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid not in {0, *map(_group_of, trusted)}
    if not sticky and (found.st_mode & stat.S_IWOTH or by_group):
        return f"{place} can be written by others"
    return ""


def _absolute_only(path: str) -> str:
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if entry.startswith("/"))


class _Groups(TypedDict):
    group: int | None
    extra_groups: list[int] | None


def _groups(user: int | None) -> _Groups:
    """The groups of a user; a child must keep none of ours."""
    if user is None:
        return _Groups(group=None, extra_groups=None)
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        return _Groups(group=user, extra_groups=[])
    return _Groups(group=entry.pw_gid, extra_groups=os.getgrouplist(entry.pw_name, entry.pw_gid))


def _group_of(user: int) -> int:
    return _groups(user)["group"] or 0


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
