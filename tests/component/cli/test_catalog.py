"""``vllama catalog``: the catalogue is held against a hub on localhost by the real huggingface_hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.cli.conftest import Vllama
from tests.fakes.hub import Hub, running
from tests.unit.models.model_files import make_model


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    place = make_model(tmp_path / "remote")
    with running(Hub("acme/mini", {file.name: file.read_bytes() for file in place.iterdir()})) as found:
        yield found


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A catalogue with a repository that is there and one that is not."""
    folder = tmp_path / "models.d"
    folder.mkdir()
    (folder / "own.yaml").write_text(
        "acme-mini: {gated: false, tags: {latest: {bf16: acme/mini}, big: {bf16: acme/gone}}}\n"
    )
    file = tmp_path / "vllama.yaml"
    file.write_text(f"paths: {{catalog: {folder}}}\n")
    return str(file)


def test_repositories_that_are_there_are_counted(vllama: Vllama, hub: Hub, config: str) -> None:
    done = vllama("catalog", "check", "acme-mini:latest", "--config", config, HF_ENDPOINT=hub.url)
    assert (done.returncode, done.stdout) == (0, "the repository exists\n"), done.stderr


def test_one_that_is_missing_is_named_and_ends_with_a_status(vllama: Vllama, hub: Hub, config: str) -> None:
    done = vllama("catalog", "check", "acme-mini", "--config", config, HF_ENDPOINT=hub.url)
    assert done.returncode == 1
    assert "acme/gone: there is no such repository, or it is private" in done.stderr
    assert "Error: 1 of 2 repositories are missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_gate_that_the_catalogue_does_not_know_is_reported_and_is_ok(vllama: Vllama, hub: Hub, config: str) -> None:
    hub.token = "hf_secret"
    done = vllama("catalog", "check", "acme-mini:latest", "--config", config, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    assert "acme/mini: is gated, but the catalogue does not say so" in done.stderr


def test_without_a_hub_it_says_so(vllama: Vllama, config: str) -> None:
    done = vllama("catalog", "check", "acme-mini", "--config", config, HF_ENDPOINT="http://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the hub can't be reached"), done.stderr
    assert "Traceback" not in done.stderr


def test_a_prefix_of_no_name(vllama: Vllama, config: str) -> None:
    done = vllama("catalog", "check", "nobody", "--config", config)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "Error: no name of the catalogue begins with 'nobody'")
