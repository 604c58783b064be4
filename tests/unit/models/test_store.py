from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.models.model_files import make_model, safetensors
from vllama.config.load import Loaded, load_config
from vllama.errors import BadRequest, ModelUnusable, NotPulled
from vllama.models.manifest import Manifest
from vllama.models.model import Model
from vllama.models.names import ModelName, parse_name
from vllama.models.snapshots import find_snapshot, hub_cache
from vllama.models.sources import Source
from vllama.models.store import ModelStore
from vllama.service.stock import open_store

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def configure(tmp_path: Path):
    def configure(text: str = "") -> Loaded:
        path = tmp_path / "vllama.yaml"
        path.write_text(text)
        return load_config(path, environ={"HOME": "/", "VLLAMA_STATE_DIR": str(tmp_path / "state")})

    return configure


def name(text: str) -> ModelName:
    found = parse_name(text)
    assert found is not None
    return found


def find(store: ModelStore, text: str) -> Model:
    model = store.find(name(text))
    assert model is not None
    return model


def make_snapshot(state: Path, repository: str, source: Path, commit: str = COMMIT) -> Path:
    """Lay a directory into the hub's cache as huggingface_hub would."""
    home = hub_cache(state) / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    snapshot = home / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir()
    for number, file in enumerate(sorted(source.iterdir())):
        blob = home / "blobs" / f"{number:064x}"
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


def test_configured_models_are_found_by_any_spelling_of_their_name(configure):
    store = open_store(configure("models: {Tiny: {source: 'builtin:tinychat', system: Hi., parameters: {top_k: 3}}}\n"))
    model = find(store, "tiny:LATEST")
    assert (model.name.short, model.system, model.parameters) == ("Tiny:latest", "Hi.", {"top_k": 3})
    assert model.facts.parameter_count == 1_855_840
    assert (model.path / "config.json").is_file()
    assert store.find(name("tiny:1b")) is None


@pytest.mark.parametrize("text", ["preload: [tinychat]\n", "models: {tinychat: {source: tinychat}}\n"])
def test_the_shipped_model_needs_no_more_than_its_name(configure, text: str):
    assert [model.name.short for model in open_store(configure(text)).all()] == ["tinychat:latest"]


def test_our_own_model_is_not_there_unless_it_is_asked_for(configure):
    assert open_store(configure()).all() == ()
    assert [model.name.short for model in open_store(configure(), {"tinychat": "builtin:tinychat"}).all()] == [
        "tinychat:latest"
    ]


def test_the_command_line_wins_over_the_configured_source(configure, tmp_path: Path):
    make_model(tmp_path / "mine")
    store = open_store(configure("models: {mini: {source: org/mini, system: Hi.}}\n"), {"MINI": str(tmp_path / "mine")})
    model = find(store, "mini")
    assert (model.path, model.system) == (tmp_path / "mine", "Hi.")
    with pytest.raises(BadRequest, match=r"in the configuration \(.*vllama.yaml:1\)"):
        store.remove(name("mini"))


def test_the_command_line_names_no_nonsense(configure):
    with pytest.raises(ModelUnusable, match="names no model"):
        open_store(configure(), {"mini": "no/non/sense"})


def test_newest_come_first(configure, tmp_path: Path):
    for age, word in enumerate(("new", "middle", "old")):
        for file in make_model(tmp_path / word).iterdir():
            os.utime(file, (1e9 - age, 1e9 - age))
    store = open_store(configure(), {word: str(tmp_path / word) for word in ("old", "new", "middle")})
    assert [model.name.model for model in store.all()] == ["new", "middle", "old"]
    assert find(store, "new").modified_at == 1e9


def test_a_broken_model_is_not_listed_but_its_reason_is_known(configure, tmp_path: Path):
    make_model(tmp_path / "bad", config__json=None)
    store = open_store(
        configure(), {"bad": str(tmp_path / "bad"), "gone": "/nowhere", "good": str(make_model(tmp_path / "good"))}
    )
    assert [model.name.model for model in store.all()] == ["good"]
    assert store.find(name("bad")) is None
    problem, gone = store.problem(name("BAD")), store.problem(name("gone"))
    assert problem is not None
    assert "there is no config.json" in problem.message
    assert gone is not None
    assert "there is no such directory" in gone.message
    assert store.problem(name("good")) is None
    assert store.problem(name("other")) is None


def test_a_wrong_path_does_not_make_us_walk_the_disk(configure):
    store = open_store(configure(), {"root": "/"})
    problem = store.problem(name("root"))
    assert problem is not None
    assert "no config.json" in problem.message


def test_refresh_sees_what_was_repaired_and_what_changed(configure, tmp_path: Path):
    place = make_model(tmp_path / "m", config__json=None)
    store = open_store(configure(), {"m": str(place)})
    assert store.all() == ()
    make_model(place)
    store.refresh()
    first = find(store, "m")
    (place / "model.safetensors").write_bytes(safetensors({"w": ("BF16", (20, 10))}))
    store.refresh()
    second = find(store, "m")
    assert (first.facts.parameter_count, second.facts.parameter_count) == (100, 200)
    assert first.digest != second.digest


def test_the_digest_belongs_to_the_contents_and_not_to_the_place(configure, tmp_path: Path):
    one, copy, other = (
        make_model(tmp_path / "a"),
        make_model(tmp_path / "b"),
        make_model(tmp_path / "c", README__md=b"x"),
    )
    for file in copy.iterdir():
        os.utime(file, (1, 1))
    store = open_store(configure(), {"a": str(one), "b": str(copy), "c": str(other)})
    digests = [find(store, word).digest for word in "abc"]
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64
    assert set(digests[0]) <= set("0123456789abcdef")


def test_both_ends_of_large_weights_count(configure, tmp_path: Path):
    place = make_model(tmp_path / "m", model__safetensors=safetensors({"w": ("F32", (9 << 20,))}))
    store = open_store(configure(), {"m": str(place)})
    first = find(store, "m").digest
    with (place / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    store.refresh()
    assert find(store, "m").digest != first


def test_size_is_all_that_is_on_the_disk(configure, tmp_path: Path):
    place = make_model(tmp_path / "m", **{"1_Pooling/config.json": b"{}", "LICENSE": b"free", ".git": b"x" * 999})
    model = find(open_store(configure(), {"m": str(place)}), "m")
    assert model.size == sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) - 999
    assert model.license == ("free",)


def test_a_repository_is_served_from_the_hubs_cache(configure, tmp_path: Path):
    state = tmp_path / "state"
    snapshot = make_snapshot(state, "org/mini", make_model(tmp_path / "m"))
    loaded = configure(
        "models: {mini: {source: org/mini}, same: {source: 'org/mini@0123456789abcdef0123456789abcdef01234567'}}\n"
    )
    store = open_store(loaded)
    assert find(store, "mini").path == snapshot
    assert find(store, "same").engine_key == find(store, "mini").engine_key


def test_what_was_not_fetched_or_not_whole_is_missing(configure, tmp_path: Path):
    make_snapshot(tmp_path / "state", "org/half", make_model(tmp_path / "m", model__safetensors=None))
    loaded = configure(
        "models: {half: {source: org/half}, none: {source: org/none@v1}, own: {source: 'builtin:tinychat'}}\n"
    )
    store = open_store(loaded)
    problem = store.problem(name("none"))
    assert isinstance(problem, NotPulled)
    assert problem.message == "org/none@v1 is not downloaded"
    assert not isinstance(store.problem(name("half")), NotPulled | None)
    assert store.problem(name("own")) is None


def test_a_configured_model_may_be_what_was_pulled_under_another_name(configure, tmp_path: Path):
    make_snapshot(tmp_path / "state", "org/mini", make_model(tmp_path / "m"))
    loaded = configure(
        "models:\n"
        "  mine: {source: 'mini:1b', system: Short., parameters: {top_k: 3}}\n"
        "  mini:1b: {source: 'mini:1b', pin: true}\n"
    )
    store = open_store(loaded)
    assert isinstance(store.problem(name("mine")), NotPulled)
    pulled = Manifest(name("mini:1b"), Source("hub", "org/mini", COMMIT), system="Long.", parameters={"top_p": 0.5})
    store.keep(pulled)
    mine = find(store, "mine")
    assert (mine.system, mine.parameters) == ("Short.", {"top_p": 0.5, "top_k": 3})
    assert (find(store, "mini:1b").pinned, mine.engine_key) == (True, find(store, "mini:1b").engine_key)
    store.copy(name("mine"), name("copy"))
    assert store.library.find(name("copy")) == Manifest(
        name("copy"), pulled.source, system="Short.", parameters=mine.parameters
    )
    with pytest.raises(BadRequest, match="defined in the configuration"):
        store.save(pulled)


def test_what_a_configured_model_is_made_of_is_not_deleted(configure, tmp_path: Path):
    make_snapshot(tmp_path / "state", "org/mini", make_model(tmp_path / "m"))
    store = open_store(configure("models: {mine: {source: 'mini:1b'}}\n"))
    store.save(Manifest(name("mini:1b"), Source("hub", "org/mini", COMMIT)))
    with pytest.raises(BadRequest, match="mini:1b is the source of mine:latest, which is defined in the configuration"):
        store.remove(name("mini:1b"))
    assert find(store, "mine")


@pytest.mark.parametrize("ref", ["", "../../x", "main", "0" * 39])
def test_a_broken_ref_is_no_snapshot(tmp_path: Path, ref: str):
    home = hub_cache(tmp_path) / "models--o--n"
    (home / "refs").mkdir(parents=True)
    (home / "snapshots").mkdir()
    (home / "refs" / "main").write_text(ref)
    assert find_snapshot(tmp_path, "o/n") is None


def test_what_the_configuration_and_the_library_hold_is_listed_together(configure, tmp_path: Path):
    store = open_store(configure("models: {tiny: {source: 'builtin:tinychat', system: Hi., parameters: {top_k: 3}}}\n"))
    store.copy(name("TINY"), name("Twin:v1"))
    assert {model.name.short for model in store.all()} == {"tiny:latest", "Twin:v1"}
    tiny, twin = find(store, "tiny"), find(store, "twin:V1")
    assert (twin.engine_key, twin.digest, twin.system, twin.parameters) == (
        tiny.engine_key,
        tiny.digest,
        "Hi.",
        {"top_k": 3},
    )
    assert twin.modified_at > tiny.modified_at


def test_a_copy_survives_restart_and_reload(configure):
    store = open_store(configure("models: {tiny: {source: 'builtin:tinychat'}}\n"))
    other = open_store(configure(), library=store.shelf)
    store.copy(name("tiny"), name("twin"))
    assert [model.name.short for model in other.all()] == ["twin:latest"]
    assert [model.name.short for model in open_store(configure()).all()] == ["twin:latest"]


def test_a_name_that_differs_in_case_keeps_its_spelling(configure):
    store = open_store(configure("models: {tiny: {source: 'builtin:tinychat'}}\n"))
    store.copy(name("tiny"), name("Twin"))
    store.copy(name("tiny"), name("TWIN"))
    assert [model.name.model for model in store.all() if model.name.model != "tiny"] == ["Twin"]


def test_a_configured_model_is_neither_overwritten_nor_deleted(configure, tmp_path: Path):
    store = open_store(
        configure("models:\n  tiny: {source: 'builtin:tinychat'}\n"), {"mine": str(make_model(tmp_path / "m"))}
    )
    store.copy(name("tiny"), name("tiny"))
    store.copy(name("tiny"), name("twin"))
    for text, where in (("tiny", r"in the configuration \(.*vllama.yaml:2\)"), ("mine", "on the command line")):
        with pytest.raises(BadRequest, match=where):
            store.copy(name("twin"), name(text))
        with pytest.raises(BadRequest, match=where):
            store.remove(name(text))
    assert store.remove(name("twin"))
    assert not store.remove(name("twin"))


def test_a_fetched_commit_stays_while_the_configuration_names_it(configure, tmp_path: Path):
    snapshot = make_snapshot(tmp_path / "state", "org/mini", make_model(tmp_path / "m"))
    store = open_store(configure("models: {mini: {source: org/mini}}\n"))
    store.copy(name("mini"), name("twin"))
    assert find(store, "twin").path == snapshot
    store.remove(name("twin"))
    assert snapshot.is_dir()
    store = open_store(configure())
    store.save(Manifest(name("again"), Source("hub", "org/mini", COMMIT)))
    store.remove(name("again"))
    assert not snapshot.exists()


def test_a_name_never_gets_files_that_can_not_be_served(configure, tmp_path: Path):
    bad = make_model(tmp_path / "bad", model__safetensors=b"12345")
    store = open_store(configure())
    with pytest.raises(ModelUnusable):
        store.save(Manifest(name("x"), Source("directory", str(bad))))
    assert store.all() == ()
    assert store.library.all() == {}


def test_the_catalogues_parsers_count_only_where_the_template_names_none(configure, tmp_path: Path):
    silent = make_model(tmp_path / "silent")
    spoken = make_model(tmp_path / "spoken", chat_template__jinja=b"{% for t in tools %}{{ t }}{% endfor %}")
    store = open_store(configure())
    for place in (silent, spoken):
        store.save(Manifest(name(place.name), Source("directory", str(place)), tool_parser="granite"))
    assert find(store, "silent").facts.tool_parser is None
    assert find(store, "spoken").facts.tool_parser == "granite"
    assert "tools" in find(store, "spoken").facts.capabilities


def test_a_problem_says_where_to_the_log_and_not_to_clients(configure, tmp_path: Path):
    store = open_store(configure(), {"lost": str(tmp_path / "nothing")})
    name = parse_name("lost")
    assert name is not None
    problem = store.problem(name)
    assert problem is not None
    assert (problem.message, str(problem)) == (
        "there is no such directory",
        f"{tmp_path / 'nothing'}: there is no such directory",
    )
