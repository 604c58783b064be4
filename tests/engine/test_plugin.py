"""Our changes to vLLM fit the one that is installed: one that no longer does can go, or must be written again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.installed_engine import installed_engine
from vllama import child
from vllama.engine import plugins

pytestmark = pytest.mark.engine
SCRIPT = Path(__file__).with_name("plugin_in_vllm.py")


@pytest.fixture(scope="module")
def reported() -> dict[str, list[list[str]]]:
    """What the engine's interpreter finds with the changes made."""
    env, _ = plugins.with_plugin({})
    argv = [str(installed_engine().python), str(SCRIPT)]
    done = subprocess.run(argv, **child.start({}, more=env), capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[list[str]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_change_fits(reported: dict[str, list[list[str]]]) -> None:
    assert reported["unfit"] == []


def test_chunks_without_pydantic_are_byte_for_byte_those_with_it(reported: dict[str, list[list[str]]]) -> None:
    assert len(reported["chunks"]) > 300
    assert [ours for models, ours in reported["chunks"] if models != ours] == []
