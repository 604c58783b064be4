"""The command lines for uv and pip, and what their failures mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.engine.installers import Installer, Pip, Uv, explain
from vllama.engine.interpreter import Interpreter
from vllama.engine.pip_config import PipConfig

PYTHON = Interpreter(Path("/usr/bin/python3.12"), (3, 12))
BOTH = [Uv("/usr/bin/uv"), Pip(Path("/usr/bin/python3"))]
SECRET = "https://me:s3cret@mirror.example"
MIRRORED = PipConfig(
    {option: f"{SECRET}/{option}" for option in ("index-url", "extra-index-url", "find-links", "proxy")}
)


@pytest.mark.parametrize("installer", [Uv("uv", MIRRORED), Pip(Path("/usr/bin/python3"), MIRRORED)])
def test_no_password_of_a_mirror_is_on_a_command_line(installer: Installer) -> None:
    index, home = f"{SECRET}/simple", Path("/e/bin/python")
    commands = [
        installer.make_venv(PYTHON, Path("/e")),
        installer.from_locks(home, [Path("a.lock")], index),
        installer.unhashed(home, "torch==1", index),
        *(installer.offers("torch==1", PYTHON, index, hashed=hashed) for hashed in (True, False)),
    ]
    for command in commands:
        assert "s3cret" not in " ".join(command.argv)
    assert all(index in " ".join(command.environ.values()) for command in commands[1:])


def test_a_package_without_a_hash_comes_from_the_index_that_was_named_and_from_no_other() -> None:
    uv = Uv("uv", MIRRORED).unhashed(Path("/e/bin/python"), "torch==1", "https://wheels.example")
    assert " ".join(uv.argv[-2:]) == "--index-strategy first-index"
    assert uv.environ["UV_INDEX"] == "https://wheels.example"  # asked before any other
    pip = Pip(Path("python3"), MIRRORED).unhashed(Path("/e/bin/python"), "torch==1", "https://wheels.example").environ
    assert {name: value for name, value in pip.items() if value} == {
        "PIP_INDEX_URL": "https://wheels.example",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_PROXY": f"{SECRET}/proxy",
    }


def test_a_package_with_a_hash_may_come_from_any_index() -> None:
    uv = Uv("uv", MIRRORED).from_locks(Path("/e/bin/python"), [Path("a.lock")], None)
    assert " ".join(uv.argv[-2:]) == "--index-strategy unsafe-best-match"
    pip = Pip(Path("python3"), MIRRORED).from_locks(Path("/e/bin/python"), [], "https://wheels.example")
    assert pip.environ == {"PIP_EXTRA_INDEX_URL": f"{SECRET}/extra-index-url https://wheels.example"}


@pytest.mark.parametrize("installer", BOTH)
def test_only_what_the_locks_vouch_for_is_installed(installer: Installer) -> None:
    command = " ".join(installer.from_locks(Path("/e/bin/python"), [Path("a.lock"), Path("b.lock")], None).argv)
    for part in ("--require-hashes", "--no-deps", "--only-binary :all:", "--requirement a.lock --requirement b.lock"):
        assert part in command
    assert "/e/bin/python" in command


@pytest.mark.parametrize("installer", BOTH)
def test_looking_for_a_wheel_asks_for_the_python_it_is_for_and_builds_nothing(installer: Installer) -> None:
    command = installer.offers("torch==2.13.0+cpu", PYTHON, "https://wheels.example/cpu", hashed=True)
    assert "3.12" in " ".join(command.argv)
    assert "--only-binary :all:" in " ".join(command.argv)
    assert "https://wheels.example/cpu" in " ".join(command.environ.values())
    assert "torch==2.13.0+cpu" in [*command.argv, command.stdin.strip()]


@pytest.mark.parametrize("installer", BOTH)
def test_the_venv_is_made_from_the_interpreter_itself(installer: Installer) -> None:
    command = installer.make_venv(PYTHON, Path("/e")).argv
    assert "/usr/bin/python3.12" in command
    assert command[-1] == "/e"


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (["error: Failed to install: torch", "  cause: No space left on device (os error 28)"], "disk is full", "room"),
        (
            ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."],
            "not the one that the lock file vouches for",
            "mirror",
        ),
        (["error: Failed to fetch: `https://x/y`", "  cause: dns error"], "can't be fetched", "run the same command"),
        (["ERROR: No matching distribution found for torch==2.13.0"], "can't be had", "mirror"),
        (["error: failed to create directory", "  cause: Permission denied (os error 13)"], "written", "--prefix"),
        (["something else", "error: of its own kind"], "of its own kind", "run the same command"),
        ([], "without a word", "run the same command"),
    ],
)
def test_a_failure_is_told_with_its_cause_and_what_to_do(lines: list[str], message: str, hint: str) -> None:
    told, advice = explain(lines)
    assert message in told
    assert hint.lower() in advice.lower()


@given(st.lists(st.text()))
def test_every_failure_has_a_message_and_a_hint(lines: list[str]) -> None:
    assert all(explain(lines))
