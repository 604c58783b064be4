"""The models named on the command line of ``vllama serve``."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import pytest

from vllama.config.load import Loaded, load_config
from vllama.errors import ModelUnusable, NotFound
from vllama.models.names import parse_name
from vllama.service.named import Named


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    file = tmp_path / "vllama.yaml"
    paths = ", ".join(f"{name}: {tmp_path}" for name in ("state", "cache", "runtime"))
    file.write_text(f"paths: {{{paths}}}\nmodels: {{mine: {{source: /models/mine}}}}\n")
    return load_config(file, environ={})


async def missing(named: Named, loaded: Loaded) -> list[str]:
    """The models that would be pulled: the first one is not, because the test ends there."""

    class Begun(Exception):
        pass

    begun: list[str] = []

    def begin(name: str):
        begun.append(name)
        raise Begun

    with contextlib.suppress(Begun):
        await named.pull_missing(loaded, {}, begin)
    return begun


async def test_our_own_model_needs_no_source_and_is_kept_loaded(loaded: Loaded):
    named = Named(["tinychat"], loaded)
    assert await missing(named, loaded) == []
    (model,) = named.models()
    assert (model.name.model, model.pinned) == ("tinychat", True)
    assert named.store.find(model.name) == model  # also when a client has unloaded it, and a request loads it again
    assert named.reopened(loaded).find(model.name) == model
    assert model.keep_alive == math.inf


@pytest.mark.parametrize("argument", ["qwen3:0.6b", "org/name"])
async def test_a_name_of_the_catalogue_and_a_repository_are_pulled(argument: str, loaded: Loaded):
    assert await missing(Named([argument], loaded), loaded) == [argument]


@pytest.mark.parametrize("argument", ["{}/small", "other={}/small"])
def test_a_directory_brings_its_source_and_wins_over_what_is_configured(argument, loaded: Loaded, tmp_path: Path):
    (tmp_path / "small").mkdir()
    name = parse_name("other" if "=" in argument else "small")
    named = Named([argument.format(tmp_path)], loaded)
    assert name is not None
    assert str(named.store.source(name)) == str(tmp_path / "small")
    reopened = named.reopened(loaded)
    assert str(reopened.source(name)) == str(tmp_path / "small")
    assert reopened.shelf is named.store.shelf


def test_an_argument_that_means_nothing_is_refused_with_what_may_be_given(loaded: Loaded):
    with pytest.raises(NotFound, match="there is no model 'nothing'") as refused:
        Named(["nothing"], loaded)
    assert "vllama catalog list" in refused.value.hint


def test_a_model_whose_files_are_broken_is_refused_with_the_reason(loaded: Loaded):
    with pytest.raises(ModelUnusable):
        Named(["mine"], loaded).models()
