"""Our RPM, built inside a lab from this working tree, and the stand-ins for what only Fedora's packages provide."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.system.lab import Lab

_TOP: Final = Path(__file__).parents[2]
_VERSION: Final = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
NEWER: Final = "99.0.0"
_BUILT: Final = "/root/dist"
_REPOSITORY: Final = "/root/repository"

_STAND_IN: Final = """\
Name: fedora-stand-in
Version: 1
Release: 1
Summary: What Debian's own packages provide without rpm knowing of it
License: MIT
BuildArch: noarch
Provides: systemd firewalld-filesystem /bin/sh /usr/bin/sh /usr/bin/python3 python3
Provides: uv group(video) group(render) user(root) group(root)

%description
Lets rpm resolve dependencies, and carries the file trigger of Fedora's systemd.

%files

%transfiletriggerin -P 1000100 -- /usr/lib/systemd/system/ /etc/systemd/system/
systemctl daemon-reload || :
"""


@dataclass(frozen=True, slots=True)
class Packages:
    """What was built, as paths inside the lab."""

    lab: Lab
    current: str
    newer: str
    """The same with a higher version and a line more in its /etc/vllama.yaml."""
    source: str
    tarball: str
    """What ``current`` was built from."""
    stand_in: str

    def install(self) -> None:
        """By rpm alone."""
        self.lab.run("rpm", "-U", "--replacepkgs", self.stand_in, self.current)

    def publish(self, *files: str) -> None:
        """Let ``dnf`` see these."""
        self.lab.run("rm", "-rf", _REPOSITORY)
        self.lab.run("mkdir", _REPOSITORY)
        self.lab.run("cp", *files, _REPOSITORY)
        self.lab.run("createrepo_c", "--quiet", _REPOSITORY)

    def dnf(self, *words: str) -> str:
        """As an administrator of Fedora would, from ``publish``'s repository; what it said."""
        options = (f"--repofrompath=here,{_REPOSITORY}", "--repo=here", "--no-gpgchecks", "--refresh", "-y")
        return self.lab.run("dnf5", *options, *words).stdout


def build_all(lab: Lab) -> Packages:
    """Build them inside ``lab``, as `make rpm` does."""
    version = version_of_tree()
    lab.put(_TOP / "packaging/rpm", "/root/rpm")

    def package(number: str, *hurry: str) -> None:
        tarball = f"/root/vllama-{number}.tar.gz"
        _pack(lab.root / tarball[1:], number, edited=number == NEWER)
        lab.run("/root/rpm/build.sh", "-o", _BUILT, "-s", tarball, "--without", "check", *hurry, timeout=300)

    with ThreadPoolExecutor() as both:
        quick = ("--nocheck", "--define", "_source_payload w1.gzdio", "--define", "_binary_payload w1.gzdio")
        builds = [both.submit(package, version), both.submit(package, NEWER, *quick)]
    for build in builds:
        build.result()
    lab.write("/root/stand-in.spec", _STAND_IN)
    lab.run("rpmbuild", "-bb", "--quiet", "--define", f"_rpmdir {_BUILT}", "--define", "_build_name_fmt %{NAME}.rpm",
            "/root/stand-in.spec")  # fmt: skip
    return Packages(
        lab,
        current=f"{_BUILT}/vllama-{version}-1.noarch.rpm",
        newer=f"{_BUILT}/vllama-{NEWER}-1.noarch.rpm",
        source=f"{_BUILT}/vllama-{version}-1.src.rpm",
        tarball=f"/root/vllama-{version}.tar.gz",
        stand_in=f"{_BUILT}/fedora-stand-in.rpm",
    )


def version_of_tree() -> str:
    """``vllama.__version__``, read and not imported."""
    found = _VERSION.search((_TOP / "vllama/__init__.py").read_text())
    assert found is not None
    return found[1]


def _pack(tarball: Path, version: str, *, edited: bool) -> None:
    """The working tree, less what git ignores; ``edited``: as the next release might look."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=_TOP,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    with tarfile.open(tarball, "w:gz", compresslevel=1) as archive:
        for name in filter(None, listed.split("\0")):
            file = _TOP / name
            if not file.is_file():  # deleted, and not committed yet
                continue
            data = file.read_bytes()
            if edited and name == "vllama/__init__.py":
                data = _VERSION.sub(f'__version__ = "{version}"', data.decode()).encode()
            elif edited and name == "packaging/rpm/vllama.spec":
                data = re.sub(rb"^(Version: *).*$", rb"\g<1>" + version.encode(), data, flags=re.MULTILINE)
            elif edited and name == "etc/vllama.yaml":
                data += b"# A line of the newer version.\n"
            entry = archive.gettarinfo(file, f"vllama-{version}/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
