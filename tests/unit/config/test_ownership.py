from __future__ import annotations

import os
from pathlib import Path

import pytest

from vllama.config.ownership import sole_owner
from vllama.errors import AlreadyRunning, ConfigError


def test_a_second_owner_learns_who_the_first_is(tmp_path: Path):
    reported = rf"pid {os.getpid()}\) is already running with {tmp_path}"
    with sole_owner(tmp_path), pytest.raises(AlreadyRunning, match=reported):
        sole_owner(tmp_path).__enter__()
    with sole_owner(tmp_path) as owner:
        owner.listens_on(11434)
        with pytest.raises(AlreadyRunning, match=rf"\(pid {os.getpid()}, port 11434\)"):
            sole_owner(tmp_path).__enter__()


def test_a_directory_that_can_not_be_used(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such file"):
        sole_owner(tmp_path / "nowhere").__enter__()
