"""What vllama tune kept is a part of the configuration."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from vllama.config.explain import as_yaml, rows
from vllama.config.load import Loaded, load_config
from vllama.config.tuned import forget_tuned, tuned_file, tuned_text, write_tuned
from vllama.errors import ConfigError, StoreFailed


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def load(state: Path, text: str = "") -> Loaded:
    file = state.parent / "vllama.yaml"
    file.write_text(f"paths: {{state: {state}}}\n{text}")
    return load_config(file, environ={"HOME": "/root"})


def keep(state: Path, model: str = "qwen3:0.6b", **settings: object) -> Path:
    place = tuned_file(state, model)
    write_tuned(place, tuned_text(model, settings, ["Written by a test.", ""]))
    return place


def test_it_applies_and_names_its_line(state: Path):
    place = keep(state, max_num_seqs=64)
    loaded = load(state)
    assert loaded.config.tuned["qwen3:0.6b"].max_num_seqs == 64
    assert loaded.origin_of("tuned.qwen3:0.6b.max_num_seqs") == "default"  # a name with dots is no dotted path
    assert loaded.origin_of(("tuned", "qwen3:0.6b", "max_num_seqs")) == f"{place}:5"


def test_it_is_shown_with_its_origin(state: Path):
    place = keep(state, max_num_seqs=64)
    loaded = load(state)
    shown = "\n".join(as_yaml(rows(loaded.config, asdict(loaded.directories), loaded.origin_of), origins=True))
    assert f"tuned:\n  qwen3:0.6b:\n    max_num_seqs: 64  # {place}:5\n" in shown


def test_without_it_nothing_is_tuned(state: Path):
    assert load(state).config.tuned == {}


def test_what_the_persons_file_says_is_stronger(state: Path):
    keep(state, max_num_seqs=64)
    keep(state, "other", max_num_seqs=8)
    tuned = load(state, "tuned: {QWEN3:0.6b: {max_num_batched_tokens: 1024}}").config.tuned
    assert {name: found.model_dump(exclude_unset=True) for name, found in tuned.items()} == {
        "QWEN3:0.6b": {"max_num_batched_tokens": 1024},
        "other": {"max_num_seqs": 8},
    }


def test_it_can_be_copied_into_the_configuration(state: Path):
    place = keep(state, max_num_seqs=64, cpu_threads="0-2")
    copied = place.read_text()
    place.unlink()
    assert load(state, copied).config.tuned["qwen3:0.6b"].cpu_threads == "0-2"


def test_tuning_again_replaces_and_forgetting_removes(state: Path):
    assert keep(state, max_num_seqs=64) == keep(state, max_num_seqs=16)
    assert load(state).config.tuned["qwen3:0.6b"].max_num_seqs == 16
    assert forget_tuned(tuned_file(state, "QWEN3:0.6B")) is False  # the spelling is in the file's name
    assert forget_tuned(tuned_file(state, "qwen3:0.6b"))
    assert not forget_tuned(tuned_file(state, "qwen3:0.6b"))
    assert load(state).config.tuned == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tuned: {x: {max_num_seqs: none}}", "1: tuned.x.max_num_seqs: must be"),
        ("server: {port: 1}", "1: server: does not belong here"),
        ("tuned: [", "is not valid YAML"),
        ("tuned: {x: {nosuch: 1}}", "nosuch"),
    ],
)
def test_a_broken_file_is_reported_with_its_line(state: Path, text: str, problem: str):
    place = tuned_file(state, "x")
    write_tuned(place, text)
    with pytest.raises(ConfigError) as reported:
        load(state)
    assert any(str(place) in line and problem in line for line in reported.value.problems), reported.value.problems


def test_what_can_not_be_written_is_reported(tmp_path: Path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreFailed, match="can't write"):
        keep(tmp_path / "state", max_num_seqs=1)


@pytest.mark.parametrize("name", ["org/name:tag", "a b", "ü"])
def test_every_name_has_a_file_of_its_own(tmp_path: Path, name: str):
    assert tuned_file(tmp_path, name).parent == tmp_path / "tuned"
    assert tuned_file(tmp_path, name) != tuned_file(tmp_path, f"{name}x")
