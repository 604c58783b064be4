"""uv's command lines, and what its failures mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.install.interpreter import Interpreter
from vllama.install.pip_config import PipConfig
from vllama.install.tool import Uv, explain

PYTHON = Interpreter(Path("/usr/bin/python3.12"), (3, 12))
UV = Uv("/usr/bin/uv")
SECRET = "https://me:s3cret@mirror.example"
MIRRORED = PipConfig(
    {option: f"{SECRET}/{option}" for option in ("index-url", "extra-index-url", "find-links", "proxy")}
)


def test_no_password_of_a_mirror_is_on_a_command_line() -> None:
    uv = Uv("uv", MIRRORED)
    index, home = f"{SECRET}/simple", Path("/e/bin/python")
    commands = [
        uv.make_venv(PYTHON, Path("/e")),
        uv.from_locks(home, [Path("a.lock")], index),
        uv.unhashed(home, "torch==1", index),
        *(uv.offers("torch==1", PYTHON, index, hashed=hashed) for hashed in (True, False)),
    ]
    for command in commands:
        assert "s3cret" not in " ".join(command.argv)
    assert all(index in " ".join(command.environ.values()) for command in commands[1:])


def test_a_package_without_a_hash_comes_from_the_index_that_was_named_and_from_no_other() -> None:
    uv = Uv("uv", MIRRORED).unhashed(Path("/e/bin/python"), "torch==1", "https://wheels.example")
    assert " ".join(uv.argv[-2:]) == "--index-strategy first-index"
    assert uv.environ["UV_INDEX"] == "https://wheels.example"  # asked before any other


def test_a_package_with_a_hash_may_come_from_any_index() -> None:
    uv = Uv("uv", MIRRORED).from_locks(Path("/e/bin/python"), [Path("a.lock")], None)
    assert " ".join(uv.argv[-2:]) == "--index-strategy unsafe-best-match"


def test_only_what_the_locks_vouch_for_is_installed() -> None:
    command = " ".join(UV.from_locks(Path("/e/bin/python"), [Path("a.lock"), Path("b.lock")], None).argv)
    for part in ("--require-hashes", "--no-deps", "--only-binary :all:", "--requirement a.lock --requirement b.lock"):
        assert part in command
    assert "/e/bin/python" in command


def test_looking_for_a_wheel_asks_for_the_python_it_is_for_and_builds_nothing() -> None:
    command = UV.offers("torch==2.13.0+cpu", PYTHON, "https://wheels.example/cpu", hashed=True)
    assert "3.12" in " ".join(command.argv)
    assert "--only-binary :all:" in " ".join(command.argv)
    assert "https://wheels.example/cpu" in " ".join(command.environ.values())
    assert "torch==2.13.0+cpu" in [*command.argv, command.stdin.strip()]


def test_the_venv_is_made_from_the_interpreter_itself() -> None:
    command = UV.make_venv(PYTHON, Path("/e")).argv
    assert "/usr/bin/python3.12" in command
    assert command[-1] == "/e"


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (["error: Failed to install: torch", "  cause: No space left on device (os error 28)"], "disk is full", "room"),
        (
            ["error: Failed to download `a==1`", "  cause: hash mismatch for a==1"],
            "not the one that the lock file names",
            "mirror",
        ),
        (["error: Failed to fetch: `https://x/y`", "  cause: dns error"], "can't be fetched", "run the same command"),
        (["error: no version of torch==2.13.0"], "is missing", "mirror"),
        (["error: failed to create directory", "  cause: Permission denied (os error 13)"], "written", "--prefix"),
        (["something else", "error: of its own kind"], "of its own kind", "run the same command"),
        ([], "without a word", "run the same command"),
    ],
)
def test_a_failure_is_reported_with_its_cause_and_what_to_do(lines: list[str], message: str, hint: str) -> None:
    reported, advice = explain(lines)
    assert message in reported
    assert hint.lower() in advice.lower()


@given(st.lists(st.text()))
def test_every_failure_has_a_message_and_a_hint(lines: list[str]) -> None:
    assert all(explain(lines))
