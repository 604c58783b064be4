"""``vllama.child`` and ``vllama.privacy``: what a child gets of us, and what nobody else gets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vllama import child
from vllama.cli.serve import refuse_root
from vllama.errors import ConfigError

ROOT = Path(__file__).parents[2]
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")


def said_by(code: str, folder: Path, **variables: str) -> str:
    """What Python code of ours prints, run from ``folder``."""
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_child_finds_no_module_and_no_program_in_the_callers_directory(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("print('trap')")
    (tmp_path / "tool").write_text("#!/bin/sh\necho trap\n")
    (tmp_path / "tool").chmod(0o755)
    code = """
import os, subprocess, sys
sys.path.remove("")
from vllama import child
print(child.which("tool"))
command = [sys.executable, "-m", "json.tool"]
print(subprocess.run(command, input="1", capture_output=True, text=True, **child.start()).stdout)
print(child.start()["env"]["PATH"], child.start()["cwd"])
try:
    subprocess.run(["tool"], **child.start())
except FileNotFoundError:
    print("no tool")
"""
    said = said_by(code, tmp_path, PATH=f".::{tmp_path.name}:/usr/bin:/bin")
    assert said.split() == ["None", "1", "/usr/bin:/bin", "/", "no", "tool"]


def test_what_a_person_names_by_a_path_is_that_path_from_everywhere(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    said = said_by("import sys; sys.path.remove(''); from vllama import child; print(child.which('./tool'))", tmp_path)
    assert said == str(tmp_path / "tool")


def test_secrets_are_not_handed_on_unless_they_are_given(tmp_path: Path) -> None:
    code = "from vllama import child; print(sorted(child.start()['env'].items() & {('HF_TOKEN', 's'), ('A', 'b')}))"
    assert said_by(code, tmp_path, HF_TOKEN="s", A="b") == "[('A', 'b')]"
    assert "HF_TOKEN" not in child.start({"HF_TOKEN": "s"})["env"]
    assert child.start({}, more={"HF_TOKEN": "s"})["env"]["HF_TOKEN"] == "s"
    assert child.secrets_in({"HF_TOKEN": "s", "A": "b"}) == {"HF_TOKEN": "s"}


@as_root
def test_a_child_of_another_user_has_nothing_left_of_roots_groups() -> None:
    command = ["/bin/grep", "-E", "^(Uid|Gid|Groups):", "/proc/self/status"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, **child.start(user=NOBODY))
    assert {int(number) for number in re.findall(r"\d+", done.stdout)} == {NOBODY}


def test_a_hidden_process_shows_no_secret_and_still_has_it(tmp_path: Path) -> None:
    code = """
import os
from vllama import privacy
privacy.hide()
print(os.environ["HF_TOKEN"], b"s3cret" in open("/proc/self/environ", "rb").read())
"""
    assert said_by(code, tmp_path, HF_TOKEN="s3cret", AFTER="x") == "s3cret False"


LOOK = """
import ctypes, os, sys
from vllama import privacy
def look(pid):
    for name in ("environ", "maps"):
        try:
            open(f"/proc/{pid}/{name}", "rb").read(1)
            yield name
        except OSError:
            pass
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as it is of a process that was started by this user
up, go = os.pipe(), os.pipe()
child = os.fork()
if not child:
    os.close(go[1])
    if sys.argv[1] == "hide":
        privacy.hide()
    os.write(up[1], b"x")
    os.read(go[0], 1)
    os._exit(0)
os.read(up[0], 1)
print(*look(child))
"""


@as_root
@pytest.mark.parametrize(("how", "seen"), [("show", "environ maps"), ("hide", "")])
def test_the_memory_of_a_hidden_process_is_closed_to_its_own_user(tmp_path: Path, how: str, seen: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, how],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == seen


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """In directories of ours that nobody else may write."""
    place = tmp_path / "venv" / "bin" / "python"
    place.parent.mkdir(parents=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    return place


ME = frozenset({0, os.geteuid()})


def test_a_program_that_only_trusted_users_can_change_has_no_weakness(program: Path) -> None:
    assert child.weakness(program, ME) == ""
    (program.parent / "python3").symlink_to("python")
    (program.parents[2] / "link").symlink_to(program.parents[1])
    assert child.weakness(program.parents[2] / "link" / "bin" / "python3", ME) == ""
    assert child.weakness(program.parent / ".." / "bin" / "python3", ME) == ""


@as_root
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_program_is_weak_where_a_part_of_its_path_belongs_to_a_stranger(program: Path, which: int) -> None:
    part = [program, *program.parents][which]
    os.chown(part, NOBODY, NOBODY)
    assert str(part) in child.weakness(program, ME)
    assert child.weakness(program, {*ME, NOBODY}) == ""


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_program_is_weak_where_others_can_write(program: Path, which: int) -> None:
    part = [program, *program.parents][which]
    part.chmod(0o757)
    assert child.weakness(program, ME) == f"{part} can be written by others"


@as_root
def test_a_program_is_weak_behind_a_link_of_a_stranger_and_where_a_link_leads_to_one(program: Path) -> None:
    link = program.parent / "theirs"
    link.symlink_to(program)
    os.lchown(link, NOBODY, NOBODY)
    assert str(link) in child.weakness(link, ME)
    theirs = program.parents[1] / "other"
    theirs.write_text("")
    os.chown(theirs, NOBODY, NOBODY)
    (program.parent / "python3").symlink_to("../other")
    assert str(theirs) in child.weakness(program.parent / "python3", ME)


def test_a_circle_of_links_and_a_missing_program_are_weak(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "circle" in child.weakness(tmp_path / "a", ME)
    assert "No such file" in child.weakness(tmp_path / "missing", ME)


@as_root
def test_root_runs_a_configured_interpreter_as_the_services_user_and_its_own_secret_one_itself(program: Path) -> None:
    for folder in program.parents:
        if folder.stat().st_mode & 0o055 != 0o055:
            folder.chmod(folder.stat().st_mode | 0o055)
    assert child.as_whom(program, None) is None
    assert child.as_whom(program, NOBODY) == NOBODY
    os.chown(program, NOBODY, NOBODY)
    assert child.as_whom(program, NOBODY) == NOBODY
    with pytest.raises(PermissionError, match="root does not run what others can change"):
        child.as_whom(program, None)
    os.chown(program, 0, 0)
    program.parent.chmod(0o700)
    assert child.as_whom(program, NOBODY) is None
    with pytest.raises(FileNotFoundError):
        child.as_whom(program.with_name("missing"), NOBODY)


@as_root
def test_root_does_not_run_a_venv_whose_packages_others_can_change(program: Path) -> None:
    (program.parents[1] / "pyvenv.cfg").touch()
    packages = program.parents[1] / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    assert child.as_whom(program, None) is None
    os.chown(packages, NOBODY, NOBODY)
    with pytest.raises(PermissionError, match="site-packages belongs to"):
        child.as_whom(program, None)


@as_root
def test_root_becomes_the_owner_of_a_directory_for_good(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    code = "import os; from pathlib import Path; from vllama import child; child.become_owner(Path(%r)); "
    code += "print(*os.getresuid(), *os.getresgid(), *os.getgroups())"
    assert set(said_by(code % str(tmp_path), ROOT).split()) == {str(NOBODY)}
    assert set(said_by(code % str(tmp_path / "missing"), ROOT).split()[:3]) == {"0"}


@as_root
def test_root_does_not_serve_from_the_directories_of_the_services_user(tmp_path: Path) -> None:
    refuse_root(tmp_path, NOBODY)
    os.chown(tmp_path, NOBODY, NOBODY)
    refuse_root(tmp_path, None)
    with pytest.raises(ConfigError) as caught:
        refuse_root(tmp_path, NOBODY)
    assert "systemctl start vllama" in caught.value.hint
