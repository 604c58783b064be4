from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.models.hub_server import COMMIT, Hub, running
from tests.unit.models.model_files import make_model
from vllama.errors import PullFailed
from vllama.models.fetch import fetch, needed_files
from vllama.models.files import read_files
from vllama.models.sources import Source


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    source = make_model(tmp_path / "remote", tokenizer_config__json={})
    contents = {file.name: file.read_bytes() for file in source.iterdir()}
    contents |= {
        "README.md": b"# hi",
        "pytorch_model.bin": b"x" * 100,
        "onnx/model.onnx": b"y",
        "original/params.json": b"{}",
    }
    with running(Hub("acme/mini", contents)) as found:
        yield found


def test_only_what_is_needed_is_fetched_and_it_can_be_served(hub: Hub, tmp_path: Path):
    told: list[tuple[int, int]] = []
    place = fetch(Source("hub", "acme/mini"), tmp_path, lambda *at: told.append(at), endpoint=hub.url)
    assert place == tmp_path / "models/hub/models--acme--mini/snapshots" / COMMIT
    assert sorted(hub.served) == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert read_files(place).config["model_type"] == "qwen3"
    total = sum(len(hub.files[name]) for name in hub.served)
    assert told[0] == (0, total)
    assert told[-1] == (total, total)


def test_what_is_here_is_not_fetched_again(hub: Hub, tmp_path: Path):
    source = Source("hub", "acme/mini")
    fetch(source, tmp_path, lambda *_: None, endpoint=hub.url)
    hub.served.clear()
    fetch(source, tmp_path, lambda *_: None, endpoint=hub.url)
    assert hub.served == []


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
        fetch(Source("hub", "acme/mini"), tmp_path, lambda *_: None, endpoint=hub.url)
    assert hint in caught.value.hint


def test_a_revision_that_is_not_there(hub: Hub, tmp_path: Path):
    with pytest.raises(PullFailed, match="acme/mini has no revision 'v9'"):
        fetch(Source("hub", "acme/mini", "v9"), tmp_path, lambda *_: None, endpoint=hub.url)


def test_a_hub_out_of_reach(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(PullFailed, match="can't be reached") as caught:
        fetch(Source("hub", "acme/mini"), tmp_path, lambda *_: None, endpoint=f"http://127.0.0.1:{port}")
    assert "give a directory" in caught.value.hint


@pytest.mark.parametrize(("extra", "words"), [("q4.gguf", "GGUF"), ("pytorch_model.bin", "no safetensors weights")])
def test_a_repository_without_safetensors_is_refused_before_anything_is_fetched(tmp_path: Path, extra: str, words: str):
    with running(Hub("acme/mini", {"config.json": b"{}", extra: b"x"})) as hub, pytest.raises(PullFailed, match=words):
        fetch(Source("hub", "acme/mini"), tmp_path, lambda *_: None, endpoint=hub.url)
    assert hub.served == []


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(hub: Hub, tmp_path: Path):
    hub.claimed = {"model.safetensors": 1 << 60}
    with pytest.raises(PullFailed, match="GB free") as caught:
        fetch(Source("hub", "acme/mini"), tmp_path, lambda *_: None, endpoint=hub.url)
    assert "paths.state" in caught.value.hint
    assert hub.served == []


def test_a_state_directory_that_can_not_be_written(hub: Hub, tmp_path: Path):
    (tmp_path / "models").touch()
    with pytest.raises(PullFailed):
        fetch(Source("hub", "acme/mini"), tmp_path, lambda *_: None, endpoint=hub.url)


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
    ]
    assert needed_files(wanted + others) == tuple(wanted)
