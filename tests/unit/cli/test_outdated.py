"""Pulled models against a hub on localhost, asked by the real huggingface_hub in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.hub import COMMIT, Hub, running
from vllama.models.library import Library
from vllama.models.manifest import Manifest
from vllama.models.names import parse_name
from vllama.models.sources import Source

OLD = "f" * 40
ROOT = Path(__file__).parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(Hub("acme/mini", {"config.json": b"{}"}, revisions=("old",))) as found:
        yield found


@pytest.fixture
def vllama(hub: Hub, tmp_path: Path) -> Run:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        place = {"VLLAMA_STATE_DIR": str(tmp_path / "state"), "HF_ENDPOINT": hub.url, "VLLAMA_HOST": "127.0.0.1:1"}
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "VLLAMA_CONFIG": os.devnull, **place, **more}
        argv = [sys.executable, "-m", "vllama", *arguments]
        return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)

    return run


def pulled(state: Path, name: str, commit: str, repository: str = "acme/mini", revision: str = "") -> None:
    parsed = parse_name(name)
    assert parsed is not None
    Library(state).put(Manifest(parsed, Source("hub", repository, commit), revision), ())


def test_models_that_changed_on_the_hub_are_listed_and_would_be_pulled(vllama: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    pulled(state, "acme/mini", OLD)
    pulled(state, "acme/mini:old", COMMIT, revision="old")
    pulled(state, "acme/gone", OLD, "acme/gone")
    pulled(state, "copied", OLD)
    done = vllama("outdated")
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["NAME", "REPOSITORY", "HERE", "HUB"],
        ["acme/mini:latest", "acme/mini@main", OLD[:12], COMMIT[:12]],
    ]
    assert "acme/gone:latest: there is no repository acme/gone" in done.stderr
    models = {one["name"]: one["outdated"] for one in json.loads(vllama("outdated", "--json").stdout)["models"]}
    assert models == {"acme/mini:latest": True, "acme/mini:old": False, "acme/gone:latest": False}
    assert vllama("pull", "--all", "--dry-run").stdout == "acme/mini:latest\n"


def test_without_a_hub_it_is_an_error_and_not_up_to_date(vllama: Run, tmp_path: Path) -> None:
    pulled(tmp_path / "state", "acme/mini", OLD)
    done = vllama("outdated", HF_ENDPOINT="http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-2:][0].startswith(("Error: ", "asking"))
    assert "the hub can't be reached" in done.stderr


@pytest.mark.parametrize("words", [("pull",), ("pull", "--all", "mini"), ("pull", "mini", "--dry-run")])
def test_pull_wants_models_or_all(words: tuple[str, ...], vllama: Run) -> None:
    assert vllama(*words).returncode == 2
