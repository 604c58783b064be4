"""Our RPM, built inside a lab from this working tree, and the stand-ins for what only Fedora's packages provide."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.system.lab import Lab

_TOP: Final = Path(__file__).parents[2]
_VERSION: Final = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
NEWER: Final = "99.0.0"

_STAND_IN: Final = """\
Name: fedora-stand-in
Version: 1
Release: 1
Summary: What Debian's own packages provide without rpm knowing of it
License: MIT
BuildArch: noarch
Provides: systemd firewalld-filesystem /bin/sh /usr/bin/sh /usr/bin/python3 python3
Provides: group(video) group(render) user(root) group(root)

%description
Lets rpm resolve dependencies, and carries the file trigger of Fedora's systemd.

%files

%transfiletriggerin -P 1000100 -- /usr/lib/systemd/system/ /etc/systemd/system/
systemctl daemon-reload || :
"""


@dataclass(frozen=True, slots=True)
class Packages:
    """Files on this machine."""

    current: Path
    newer: Path
    """The same with a higher version and a line more in its /etc/vllama.yaml."""
    source: Path
    stand_in: Path


def build(lab: Lab, folder: Path) -> Packages:
    """Build them inside ``lab``, as `make rpm` does, into ``folder``."""
    version = version_of_tree()
    for number, edited in ((version, False), (NEWER, True)):
        _pack(folder / f"vllama-{number}.tar.gz", number, edited=edited)
        lab.put(folder / f"vllama-{number}.tar.gz", f"/root/vllama-{number}.tar.gz")
    lab.put(_TOP / "packaging/rpm", "/root/rpm")
    for number in (version, NEWER):
        tarball = f"/root/vllama-{number}.tar.gz"
        again = ("--nocheck",) if number == NEWER else ()
        lab.run("/root/rpm/build.sh", "-o", "/root/dist", "-s", tarball, "--without", "check", *again, timeout=300)
    lab.write("/root/stand-in.spec", _STAND_IN)
    lab.run("rpmbuild", "-bb", "--quiet", "--define", "_rpmdir /root/dist", "--define", "_build_name_fmt %{NAME}.rpm",
            "/root/stand-in.spec")  # fmt: skip
    made = {}
    for file in (lab.root / "root/dist").glob("*.rpm"):
        made[file.name] = folder / file.name
        made[file.name].write_bytes(file.read_bytes())
    return Packages(
        current=made[f"vllama-{version}-1.noarch.rpm"],
        newer=made[f"vllama-{NEWER}-1.noarch.rpm"],
        source=made[f"vllama-{version}-1.src.rpm"],
        stand_in=made["fedora-stand-in.rpm"],
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
