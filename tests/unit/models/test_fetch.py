"""A repository into the cache: the real huggingface_hub against a hub on localhost."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.fakes.hub import COMMIT, Hub, running
from tests.unit.models.model_files import make_model, safetensors
from vllama.errors import PullFailed
from vllama.models.choosing import needed_files
from vllama.models.fetch import Plan, fetch, look
from vllama.models.files import read_files
from vllama.models.hub import find_snapshot, repository_home
from vllama.models.sources import Source

MINI = Source("hub", "acme/mini")
WEIGHTS = "model.safetensors"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    weights = safetensors({"w": ("F32", (1 << 17,))})
    source = make_model(tmp_path / "remote", tokenizer_config__json={}, model__safetensors=weights)
    contents = {file.name: file.read_bytes() for file in source.iterdir()}
    contents |= {
        "README.md": b"# hi",
        "pytorch_model.bin": b"x" * 100,
        "onnx/model.onnx": b"y",
        "original/params.json": b"{}",
    }
    with running(Hub("acme/mini", contents)) as found:
        yield found


def bring(hub: Hub, state: Path, source: Source = MINI) -> str:
    return fetch(source, state, lambda _: None, lambda _: None, endpoint=hub.url)


def test_only_what_is_needed_is_fetched_and_it_can_be_served(hub: Hub, tmp_path: Path):
    plans: list[Plan] = []
    told: list[Mapping[str, int]] = []
    assert fetch(MINI, tmp_path, plans.append, told.append, endpoint=hub.url) == COMMIT
    place = find_snapshot(tmp_path, "acme/mini")
    assert place is not None
    assert sorted(hub.served) == ["config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json"]
    assert read_files(place).config["model_type"] == "qwen3"
    (plan,) = plans
    assert {file.name: file.size for file in plan.files} == {name: len(hub.files[name]) for name in hub.served}
    assert [file.name for file in plan.files if file.sha256] == [WEIGHTS]
    assert told[-1] == {name: len(hub.files[name]) for name in hub.served}


def test_a_part_is_seen_while_it_grows(hub: Hub, tmp_path: Path):
    hub.held[WEIGHTS] = 300_000

    def seen(here: Mapping[str, int]) -> None:
        if 0 < here.get(WEIGHTS, 0) < len(hub.files[WEIGHTS]):
            hub.release.set()

    assert fetch(MINI, tmp_path, lambda _: None, seen, endpoint=hub.url) == COMMIT
    assert hub.ranges.count((WEIGHTS, 0)) == 1


def test_what_is_here_is_not_fetched_again(hub: Hub, tmp_path: Path):
    bring(hub, tmp_path)
    hub.served.clear()
    bring(hub, tmp_path)
    assert hub.served == []


def test_a_file_goes_on_where_the_last_fetch_stopped(hub: Hub, tmp_path: Path):
    blobs = repository_home(tmp_path, "acme/mini") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hub.blob(WEIGHTS)}.incomplete").write_bytes(hub.files[WEIGHTS][:123_457])
    bring(hub, tmp_path)
    assert [first for name, first in hub.ranges if name == WEIGHTS] == [123_457]
    assert (blobs / hub.blob(WEIGHTS)).read_bytes() == hub.files[WEIGHTS]
    assert not list(blobs.glob("*.incomplete"))


def test_a_connection_that_breaks_is_made_again_and_goes_on(hub: Hub, tmp_path: Path):
    hub.cuts[WEIGHTS] = [300_001]
    bring(hub, tmp_path)
    first, second = [first for name, first in hub.ranges if name == WEIGHTS]
    assert first == 0
    assert 0 < second <= 300_001
    assert (repository_home(tmp_path, "acme/mini") / "blobs" / hub.blob(WEIGHTS)).read_bytes() == hub.files[WEIGHTS]


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_damaged_files_are_not_kept(hub: Hub, tmp_path: Path, name: str):
    hub.damaged.add(name)
    with pytest.raises(PullFailed, match=f"{name} of acme/mini arrived damaged"):
        bring(hub, tmp_path)
    blobs = repository_home(tmp_path, "acme/mini") / "blobs"
    assert not list(blobs.glob(f"{hub.blob(name)}*"))
    hub.damaged.clear()
    assert bring(hub, tmp_path) == COMMIT


def test_a_half_that_belongs_to_another_file_is_found_out(hub: Hub, tmp_path: Path):
    blobs = repository_home(tmp_path, "acme/mini") / "blobs"
    blobs.mkdir(parents=True)
    half = blobs / f"{hub.blob(WEIGHTS)}.incomplete"
    half.write_bytes(b"?" * 1000)
    with pytest.raises(PullFailed, match="arrived damaged"):
        bring(hub, tmp_path)
    half.write_bytes(b"?" * (len(hub.files[WEIGHTS]) + 1))
    assert bring(hub, tmp_path) == COMMIT


def test_a_branch_that_moved_on_is_followed_and_unchanged_files_stay(hub: Hub, tmp_path: Path):
    bring(hub, tmp_path)
    hub.commit = "f" * 40
    hub.files = {**hub.files, "config.json": hub.files["config.json"] + b"\n"}
    hub.served.clear()
    assert bring(hub, tmp_path) == "f" * 40
    assert hub.served == ["config.json"]
    place = find_snapshot(tmp_path, "acme/mini")
    assert place is not None
    assert place.name == "f" * 40


def test_a_token_is_shown_to_the_hub_and_to_nobody_else(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hub.token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(PullFailed, match="is gated") as caught:
        bring(hub, tmp_path)
    assert "https://huggingface.co/acme/mini" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert bring(hub, tmp_path) == COMMIT
    assert hub.leaked == []


@pytest.mark.parametrize(
    ("refusal", "words", "hint"),
    [
        ((403, "GatedRepo"), "is gated", "HF_TOKEN"),
        ((404, "RepoNotFound"), "there is no repository acme/mini", "spelling"),
        ((401, ""), "acme/mini", "HF_TOKEN"),
        ((500, ""), "the hub answered 500", "Try again"),
    ],
)
def test_what_the_hub_refuses(hub: Hub, tmp_path: Path, refusal: tuple[int, str], words: str, hint: str):
    hub.refusal = refusal
    with pytest.raises(PullFailed, match=words) as caught:
        bring(hub, tmp_path)
    assert hint in caught.value.hint


def test_a_revision_that_is_not_there(hub: Hub, tmp_path: Path):
    with pytest.raises(PullFailed, match="acme/mini has no revision 'v9'") as caught:
        bring(hub, tmp_path, Source("hub", "acme/mini", "v9"))
    assert caught.value.error_code == "pull_unknown"


def test_a_hub_out_of_reach(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(PullFailed, match="can't be reached") as caught:
        bring(Hub("acme/mini", {}, url=f"http://127.0.0.1:{port}"), tmp_path)
    assert "give a directory" in caught.value.hint
    assert "kept" not in caught.value.hint  # nothing was fetched


def test_offline_mode_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PullFailed, match="offline mode") as caught:
        bring(Hub("acme/mini", {}, url="http://127.0.0.1:1"), tmp_path)
    assert "HF_HUB_OFFLINE" in caught.value.hint


@pytest.mark.parametrize(("extra", "words"), [("q4.gguf", "GGUF"), ("pytorch_model.bin", "pickles")])
def test_a_repository_without_safetensors_is_refused_before_anything_is_fetched(tmp_path: Path, extra: str, words: str):
    with running(Hub("acme/mini", {"config.json": b"{}", extra: b"x"})) as hub, pytest.raises(PullFailed, match=words):
        bring(hub, tmp_path)
    assert hub.served == []


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(hub: Hub, tmp_path: Path):
    hub.claimed = {WEIGHTS: 1 << 60}
    with pytest.raises(PullFailed, match="GB free") as caught:
        bring(hub, tmp_path)
    assert "paths.state" in caught.value.hint
    assert hub.served == []


def test_a_disk_that_fills_up_on_the_way(hub: Hub, tmp_path: Path):
    blobs = repository_home(tmp_path, "acme/mini") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hub.blob(WEIGHTS)}.incomplete").symlink_to("/dev/full")
    with pytest.raises(PullFailed, match="the disk is full") as caught:
        bring(hub, tmp_path)
    assert "what was fetched is kept" in caught.value.hint
    assert (blobs / hub.blob("config.json")).exists()


def test_a_state_directory_that_can_not_be_written(hub: Hub, tmp_path: Path):
    (tmp_path / "models").touch()
    with pytest.raises(PullFailed, match="can't be written"):
        bring(hub, tmp_path)


def test_a_hub_can_be_asked_whether_a_repository_is_there(hub: Hub):
    assert look("acme/mini", endpoint=hub.url) == "there"
    assert look("acme/maxi", endpoint=hub.url) == "missing"
    hub.refusal = (403, "GatedRepo")
    assert look("acme/mini", endpoint=hub.url) == "gated"


def test_which_files_a_model_consists_of():
    wanted = [
        "config.json",
        "model-1.safetensors",
        "tokenizer.model",
        "vocab.txt",
        "chat_template.jinja",
        "1_Pooling/config.json",
        "2_Dense/model.safetensors",
        "LICENSE",
    ]
    others = [
        "consolidated.safetensors",
        "adapter_model.safetensors",
        "original/params.json",
        "onnx/model.onnx",
        "x.gguf",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "README.md",
        ".gitattributes",
        "a/b/config.json",
        "fp16/model.safetensors",
        "modeling_x.py",
        "../config.json",
        "/config.json",
        "../../1/x.safetensors",
        "..",
    ]
    assert needed_files(wanted + others) == tuple(wanted)
