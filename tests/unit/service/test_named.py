"""The models named on the command line of ``vllama serve``."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllama.config.load import Loaded, load_config
from vllama.errors import ModelUnusable, NotFound
from vllama.models.library import Library
from vllama.service.named import find, sources_of
from vllama.service.stock import open_store


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    file = tmp_path / "vllama.yaml"
    paths = ", ".join(f"{name}: {tmp_path}" for name in ("state", "cache", "runtime"))
    file.write_text(f"paths: {{{paths}}}\nmodels: {{mine: {{source: /models/mine}}}}\n")
    return load_config(file, environ={})


@pytest.mark.parametrize(
    ("argument", "name", "source"),
    [
        ("tinychat", "tinychat", "builtin:tinychat"),
        ("mine", "mine", None),  # configured
        ("qwen3:0.6b", "qwen3:0.6b", None),  # in the catalogue
        ("org/name", "org/name:latest", None),
        ("other=org/name", "other", "org/name"),
    ],
)
def test_an_argument_means_what_is_known_or_brings_its_source(
    argument: str, name: str, source: str | None, loaded: Loaded
):
    assert sources_of([argument], loaded, Library(loaded.state)) == {name: source}


def test_a_directory_is_its_own_source(loaded: Loaded, tmp_path: Path):
    (tmp_path / "small").mkdir()
    found = sources_of([str(tmp_path / "small")], loaded, Library(loaded.state))
    assert found == {"small": str(tmp_path / "small")}


def test_an_argument_that_means_nothing_is_refused_with_what_may_be_given(loaded: Loaded):
    with pytest.raises(NotFound, match="there is no model 'nothing'") as refused:
        sources_of(["nothing"], loaded, Library(loaded.state))
    assert "vllama catalog list" in refused.value.hint


def test_a_model_whose_files_are_broken_is_refused_with_the_reason(loaded: Loaded):
    store = open_store(loaded)
    with pytest.raises(ModelUnusable):
        find(store, "mine")
    with pytest.raises(NotFound):
        find(store, "nothing")
