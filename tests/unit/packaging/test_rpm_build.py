"""`make rpm`: it looks for rpmbuild first, shows its steps, keeps its log and says for whom the RPM is."""

from __future__ import annotations

import platform
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vllama import __version__

ROOT = Path(__file__).parents[3]
BUILD = ROOT / "packaging" / "rpm" / "build.sh"
Build = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Build with an rpmbuild that does what is given, on a machine with Fedora's macros."""
    programs, tarball = tmp_path / "bin", tmp_path / f"vllama-{__version__}.tar.gz"
    programs.mkdir()
    with tarfile.open(tarball, "w:gz") as archive:
        for name in ("packaging/rpm", "vllama/__init__.py"):
            archive.add(ROOT / name, f"vllama-{__version__}/{name}")

    def run(rpmbuild: str) -> subprocess.CompletedProcess[str]:
        for name, text in {"rpm": "echo 1", "rpmbuild": f"top=${{3#_topdir }}\n{rpmbuild}"}.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        environ = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path)}
        argv = [str(BUILD), "-o", str(tmp_path / "dist"), "-s", str(tarball)]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_without_rpmbuild_nothing_else_is_done(tmp_path: Path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "dirname").symlink_to("/usr/bin/dirname")
    argv = ["/bin/bash", str(BUILD), "-o", str(tmp_path / "dist")]
    done = subprocess.run(argv, env={"PATH": str(programs)}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "rpmbuild is not installed (dnf install rpm-build, apt install rpm)" in done.stderr
    assert not (tmp_path / "dist").exists()


def test_the_steps_are_shown_and_the_last_line_says_for_whom_the_rpm_is(build: Build, tmp_path: Path):
    done = build('echo "Executing(%build): /bin/sh"; echo x >"$top/SRPMS/vllama-1.src.rpm"')
    assert done.returncode == 0, done.stderr
    assert "    %build" in done.stdout.splitlines()
    assert f"written: {tmp_path / 'dist' / 'vllama-1.src.rpm'}" in done.stdout.splitlines()
    last = done.stdout.splitlines()[-1]
    if platform.freedesktop_os_release()["ID"] == "fedora":
        assert last.startswith("Install it: sudo dnf install")
    else:
        assert last.startswith("This RPM is for this machine (")
        assert last.endswith("sudo dnf builddep packaging/rpm/vllama.spec; rpmbuild --rebuild dist/*.src.rpm")


@pytest.mark.parametrize(
    ("rpmbuild", "hint"),
    [
        (': >"$top/SRPMS/v.buildreqs.nosrc.rpm"; exit 11', "/dist/*.buildreqs.nosrc.rpm"),
        ('echo "error: Failed build dependencies:" >&2; exit 1', "sudo dnf builddep packaging/rpm/vllama.spec"),
    ],
)
def test_a_failed_build_keeps_its_log_and_says_what_to_install(build: Build, tmp_path: Path, rpmbuild: str, hint: str):
    done = build(f"echo what went wrong; {rpmbuild}")
    assert done.returncode == 1
    assert "what went wrong" in (tmp_path / "dist" / "build.log").read_text()
    assert "Install what is missing: sudo dnf builddep" in done.stderr
    assert hint in done.stderr
    assert (tmp_path / "dist" / "v.buildreqs.nosrc.rpm").is_file() is ("nosrc" in hint)
