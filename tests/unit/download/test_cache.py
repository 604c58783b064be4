"""A repository into the cache: the real huggingface_hub against a hub on localhost."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.fakes.hub import COMMIT, Hub, running
from tests.unit.models.model_files import CONFIG, make_model, safetensors
from vllama.download.cache import fetch
from vllama.download.hub import Snapshot
from vllama.errors import ModelUnusable, PullFailed
from vllama.install.capabilities import shipped_registry
from vllama.models.files import read_files
from vllama.models.snapshots import find_snapshot, repository_home
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
    return fetch(source, state, lambda _: None, lambda _: None, shipped_registry(), endpoint=hub.url)


def test_only_what_is_needed_is_fetched_and_it_can_be_served(hub: Hub, tmp_path: Path):
    plans: list[Snapshot] = []
    reported: list[Mapping[str, int]] = []
    assert fetch(MINI, tmp_path, plans.append, reported.append, shipped_registry(), endpoint=hub.url) == COMMIT
    place = find_snapshot(tmp_path, "acme/mini")
    assert place is not None
    assert sorted(hub.served) == ["config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json"]
    assert read_files(place).config["model_type"] == "qwen3"
    (plan,) = plans
    assert {file.name: file.size for file in plan.files} == {name: len(hub.files[name]) for name in hub.served}
    assert [file.name for file in plan.files if file.sha256] == [WEIGHTS]
    assert reported[-1] == {name: len(hub.files[name]) for name in hub.served}


def test_a_part_is_seen_while_it_grows(hub: Hub, tmp_path: Path):
    hub.held[WEIGHTS] = 300_000

    def seen(here: Mapping[str, int]) -> None:
        if 0 < here.get(WEIGHTS, 0) < len(hub.files[WEIGHTS]):
            hub.release.set()

    assert fetch(MINI, tmp_path, lambda _: None, seen, shipped_registry(), endpoint=hub.url) == COMMIT
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


@pytest.mark.parametrize(("extra", "words"), [("q4.gguf", "GGUF"), ("pytorch_model.bin", "pickles")])
def test_a_repository_without_safetensors_is_refused_before_anything_is_fetched(tmp_path: Path, extra: str, words: str):
    with running(Hub("acme/mini", {"config.json": b"{}", extra: b"x"})) as hub, pytest.raises(PullFailed, match=words):
        bring(hub, tmp_path)
    assert hub.served == []


def test_a_disk_that_is_too_small_is_reported_before_anything_is_fetched(hub: Hub, tmp_path: Path):
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


ONE = safetensors({"w": ("F32", (4,))})
SHARDS = {
    "model-00001-of-00002.safetensors": safetensors({"a": ("F32", (2,))}),
    "model-00002-of-00002.safetensors": safetensors({"b": ("F32", (2,))}),
}
INDEX = json.dumps({"weight_map": dict(zip("ab", SHARDS, strict=True))}).encode()


@pytest.mark.parametrize(
    ("weights", "fetched"),
    [
        # the same weights as one file and as shards: the index decides, as it does for vLLM
        ({WEIGHTS: ONE, **SHARDS, "model.safetensors.index.json": INDEX}, {*SHARDS}),
        ({WEIGHTS: ONE, **SHARDS}, {WEIGHTS}),
        ({**SHARDS}, {*SHARDS}),
        ({WEIGHTS: ONE, "model.fp16.safetensors": ONE}, {WEIGHTS}),
        ({WEIGHTS: ONE, "consolidated.safetensors": ONE, "params.json": b"{}"}, {WEIGHTS}),
        ({"consolidated.safetensors": ONE, "params.json": b"{}"}, {"consolidated.safetensors"}),
        ({WEIGHTS: ONE, "pytorch_model.bin": b"x", "original/model.safetensors": ONE}, {WEIGHTS}),
    ],
)
def test_the_same_weights_are_fetched_once(tmp_path: Path, weights: dict[str, bytes], fetched: set[str]):
    contents = {**weights, "config.json": json.dumps(CONFIG).encode(), "tokenizer.json": b"{}"}
    with running(Hub("acme/mini", contents)) as hub:
        bring(hub, tmp_path)
        assert {name for name in hub.served if name.endswith((".safetensors", ".bin"))} == fetched
        assert len(hub.served) == len(set(hub.served))


@pytest.mark.parametrize("revision", ["refs/pr/3", "feature/new-head"])
def test_a_branch_with_slashes_is_fetched_and_found(tmp_path: Path, hub: Hub, revision: str):
    hub.revisions = (revision,)
    assert bring(hub, tmp_path, Source("hub", "acme/mini", revision)) == COMMIT
    found = find_snapshot(tmp_path, "acme/mini", revision)
    assert found is not None
    assert found.name == COMMIT


def test_chat_templates_of_their_own_folder_are_fetched(tmp_path: Path, hub: Hub):
    hub.files = {**hub.files, "chat_template.jinja": b"d", "additional_chat_templates/tool_use.jinja": b"t"}
    bring(hub, tmp_path)
    found = find_snapshot(tmp_path, "acme/mini")
    assert found is not None
    assert read_files(found).chat_template == "t"


@pytest.mark.parametrize("tag", ["Q4_K_M", "q8_0", "IQ2_XXS", "UD-Q4_K_XL", "BF16"])
def test_the_tag_of_a_gguf_file_is_reported_as_one(tmp_path: Path, hub: Hub, tag: str):
    with pytest.raises(PullFailed, match="that names a GGUF file") as caught:
        bring(hub, tmp_path, Source("hub", "acme/mini", tag))
    assert "safetensors" in caught.value.hint


@pytest.mark.parametrize(
    ("contents", "words", "hint"),
    [
        (
            {"adapter_config.json": b'{"base_model_name_or_path": "acme/base"}', "adapter_model.safetensors": ONE},
            "is a LoRA adapter for acme/base",
            "FROM acme/base",
        ),
        (
            {"adapter_config.json": b'{"base_model_name_or_path": "/home/me/base"}', "adapter_model.safetensors": ONE},
            "is a LoRA adapter, not a model",
            "ADAPTER",
        ),
        (
            {"params.json": b"{}", "consolidated.safetensors": ONE, "tekken.json": b"{}"},
            "Mistral's own format",
            "config",
        ),
        ({"model_index.json": b"{}", "unet/model.safetensors": ONE}, "diffusers", "language model"),
        ({"config.json": b"{}", "onnx/model.onnx": b"x"}, "ONNX", "safetensors"),
        ({"config.json": b"{}", "mini-Q4_K_M.gguf": b"GGUF"}, "holds GGUF files", "safetensors"),
        ({"model.safetensors": ONE}, "has no config.json", "revision"),
        (
            {"config.json": b"{}", "model.safetensors": ONE, "model.safetensors.index.json": INDEX},
            "lacks model-00001-of-00002.safetensors",
            "revision",
        ),
        (
            {"config.json": b"{}", "model.safetensors.index.json": b'{"weight_map": {"w": "/etc/hostname"}}'},
            "not a weights file of the same directory",
            "revision",
        ),
    ],
)
def test_a_repository_without_a_model_is_reported_for_what_it_is(
    tmp_path: Path, contents: dict[str, bytes], words: str, hint: str
):
    with running(Hub("acme/mini", contents)) as hub, pytest.raises(PullFailed, match=words) as caught:
        bring(hub, tmp_path)
    assert hint in caught.value.hint
    assert not [name for name in hub.served if name.endswith(".safetensors")]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"architectures": ["WhisperForConditionalGeneration"]}, "transcribes speech"),
        ({"quantization": {"group_size": 64, "bits": 4}}, "MLX"),
        ({"quantization_config": {"quant_method": "exl2"}}, "exl2"),
        ({"architectures": ["NobodyForCausalLM"]}, "does not know the architecture"),
    ],
)
def test_what_can_not_be_served_is_known_before_its_weights_are_fetched(
    hub: Hub, tmp_path: Path, config: dict[str, object], words: str
):
    hub.files = {**hub.files, "config.json": json.dumps(CONFIG | config).encode()}
    with pytest.raises(ModelUnusable, match=words) as caught:
        bring(hub, tmp_path)
    assert str(tmp_path) not in caught.value.message
    assert hub.served == ["config.json"]
    assert find_snapshot(tmp_path, "acme/mini") is None
    assert not list(repository_home(tmp_path, "acme/mini").glob("blobs/*"))  # nothing of it is kept
