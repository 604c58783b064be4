"""The base root that every lab boots from: a Debian whose systemd is as new as Fedora's, made once and kept.

Debian's forky stands for Fedora 44 and 45: systemd 262, Python 3.14, rpm 6 and dnf5. Nothing of the project is in it,
so it is made anew only when the lists below change. ``python -m tests.system.roots`` makes it ahead of the tests.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.system.scratch import cache_directory

_SYSTEM = ("systemd", "systemd-sysv", "dbus", "iproute2", "procps", "curl", "ca-certificates", "firewalld", "mandoc")
_PACKAGING = ("rpm", "dnf5", "createrepo-c", "python3-pip", "python3-setuptools", "python3-wheel")
_CHECK = ("python3-pytest", "python3-pytest-asyncio", "python3-pytest-timeout", "python3-hypothesis")
_OURS = (
    "python3-aiohttp", "python3-click", "python3-markdown-it", "python3-orjson", "python3-prometheus-client",
    "python3-psutil", "python3-pydantic", "python3-pygments", "python3-rich", "python3-sdnotify", "python3-yaml",
)  # fmt: skip
_HUB = ("python3-filelock", "python3-fsspec", "python3-httpx", "python3-packaging", "python3-tqdm")
"""What huggingface_hub needs; itself it is in Fedora but not in Debian."""
_ENGINE = ("g++", "libnuma1")
"""Torch compiles with it."""

_FROM_PYPI = ("huggingface_hub==1.3.0",)

_CUSTOMIZE = r"""
set -eu
: > etc/machine-id
mkdir -p usr/lib/systemd/system-preset etc/rpm
echo 'disable *' > usr/lib/systemd/system-preset/99-default-disable.preset
echo '%__systemd_sysusers /usr/bin/systemd-sysusers' > etc/rpm/macros.sysusers
find etc/systemd/system -name '*irewall*' -delete
"""
"""What Fedora has and Debian lacks: units are disabled unless a preset says otherwise, and rpm makes the users."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One base root."""

    suite: str = "forky"
    packages: tuple[str, ...] = _SYSTEM + _PACKAGING + _CHECK + _OURS + _HUB + _ENGINE
    from_pypi: tuple[str, ...] = _FROM_PYPI

    @property
    def name(self) -> str:
        """Says what is in it: another list of packages is another root."""
        text = "\n".join((*self.packages, *self.from_pypi, _CUSTOMIZE))
        return f"{self.suite}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def base_root(recipe: Recipe) -> Path:
    """The folder with that root, made now (one to two minutes and the network) where it isn't there yet."""
    roots = cache_directory() / "roots"
    roots.mkdir(parents=True, exist_ok=True)
    root = roots / recipe.name
    with (roots / f".{recipe.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of the tests would download the same twice
        if not root.exists():
            half = roots / f".{recipe.name}.half"
            shutil.rmtree(half, ignore_errors=True)
            _build(recipe, half)
            half.rename(root)
    return root


def _build(recipe: Recipe, root: Path) -> None:
    root.mkdir()
    script = root.with_suffix(".customize")
    script.write_text(f'#!/bin/sh\ncd "$1"\n{_CUSTOMIZE}')
    script.chmod(0o755)
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(recipe.packages)}",
            '--aptopt=Acquire::Check-Valid-Until "false"',  # a mirror may be a snapshot
            '--aptopt=Acquire::Languages "none"', "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude=/usr/share/{unread}/*" for unread in ("doc", "locale")),
            f"--customize-hook={script} \"$1\"",
            recipe.suite, str(root), _mirror(),
        ],
        check=True,
    )  # fmt: skip
    script.unlink()
    local = next(root.glob("usr/lib/python3.*")).name
    target = root / "usr/local/lib" / local / "dist-packages"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
    ]
    subprocess.run([*pip, "--no-deps", "--target", str(target), *recipe.from_pypi], check=True)


def _mirror() -> str:
    """The one this machine's apt uses."""
    for file in (*Path("/etc/apt/sources.list.d").glob("*.sources"), Path("/etc/apt/sources.list")):
        if file.is_file() and (
            found := re.search(r"^(?:URIs:|deb(?: \[.*?\])?) +(\S+/debian)/?\s", file.read_text(), re.MULTILINE)
        ):
            return found[1]
    raise RuntimeError("apt's sources name no Debian mirror: the system ring builds its root from one")


if __name__ == "__main__":
    base_root(Recipe())
