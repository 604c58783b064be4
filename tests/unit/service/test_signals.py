"""What SIGHUP means."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllama.service.signals import hang_up, has_terminal


@pytest.mark.parametrize(
    ("in_terminal", "ignored", "left", "meaning"),
    [
        (True, False, True, "stop"),  # a person's service, whose terminal is closed
        (True, False, False, "stop"),
        (True, True, True, "ignore"),  # nohup
        (True, True, False, "reload"),  # nohup, and the terminal has gone: somebody sent it
        (False, False, False, "reload"),  # a container, a supervisor, systemd
        (False, True, False, "reload"),
    ],
)
def test_sighup_ends_only_what_a_closed_terminal_started(in_terminal: bool, ignored: bool, left: bool, meaning: str):
    assert hang_up(in_terminal=in_terminal, ignored=ignored, terminal_left=left) == meaning


def test_a_machine_without_terminals_has_none(tmp_path: Path):
    assert not has_terminal(tmp_path / "tty")
