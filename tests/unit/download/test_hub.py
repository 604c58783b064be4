"""What a repository is, asked of a hub on localhost by the real huggingface_hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.hub import Hub, running
from tests.unit.models.model_files import make_model, read_facts, safetensors
from vllama.download.hub import describe, look
from vllama.errors import ModelUnusable, PullFailed
from vllama.install.capabilities import shipped_registry
from vllama.models.files import read_files
from vllama.models.sources import Source

MINI = Source("hub", "acme/mini")
_BYTES = 4 << 20


@pytest.fixture
def place(tmp_path: Path) -> Path:
    weights = safetensors({"w": ("BF16", (_BYTES // 2,))})
    return make_model(tmp_path / "remote", tokenizer_config__json={}, model__safetensors=weights)


@pytest.fixture
def hub(place: Path) -> Iterator[Hub]:
    contents = {file.name: file.read_bytes() for file in place.iterdir()}
    with running(Hub("acme/mini", {**contents, "pytorch_model.bin": b"x" * 100})) as found:
        yield found


def test_the_facts_are_those_of_the_fetched_model(hub: Hub, place: Path):
    found = describe(MINI, shipped_registry(), endpoint=hub.url)
    assert found == read_facts(read_files(place))
    assert found.weight_bytes == _BYTES
    assert "pytorch_model.bin" not in hub.served


def test_a_repository_that_is_not_there(hub: Hub):
    with pytest.raises(PullFailed, match="no repository acme/other"):
        describe(Source("hub", "acme/other"), shipped_registry(), endpoint=hub.url)


def test_a_repository_without_weights_and_one_that_is_no_model(place: Path):
    with (
        running(Hub("acme/mini", {"config.json": b"{}"})) as empty,
        pytest.raises(PullFailed, match="no safetensors weights"),
    ):
        describe(MINI, shipped_registry(), endpoint=empty.url)
    contents = {file.name: file.read_bytes() for file in place.iterdir()} | {"config.json": b"{}"}
    with running(Hub("acme/mini", contents)) as strange, pytest.raises(ModelUnusable, match="names no architecture"):
        describe(MINI, shipped_registry(), endpoint=strange.url)


def test_a_hub_can_be_asked_whether_a_repository_is_there(hub: Hub):
    assert look("acme/mini", endpoint=hub.url) == "there"
    assert look("acme/maxi", endpoint=hub.url) == "missing"
    hub.refusal = (403, "GatedRepo")
    assert look("acme/mini", endpoint=hub.url) == "gated"
