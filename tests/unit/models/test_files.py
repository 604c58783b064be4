from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.models.model_files import make_model, safetensors
from vllama.errors import ModelUnusable
from vllama.models.files import read_files
from vllama.models.layout import weight_files

WEIGHTS = safetensors({"w": ("BF16", (10, 10))})


@pytest.mark.parametrize(
    ("contents", "words", "hint"),
    [
        ({"config__json": None}, "there is no config.json", "config.json, weights and a tokenizer"),
        ({"config__json": b"{"}, "is not valid JSON", "Fetch it again"),
        ({"config__json": []}, "does not hold a JSON object", "Fetch it again"),
        ({"model__safetensors": None}, r"there are no weights \(\*\.safetensors\)", "Fetch it again"),
        ({"model__safetensors": WEIGHTS[:-9]}, "model.safetensors is truncated", "Fetch it again"),
        ({"model__safetensors": b""}, "is empty or truncated", "Fetch it again"),
        ({"model__safetensors": b"version https://git-lfs"}, "model.safetensors is a git-LFS pointer", "git lfs pull"),
        ({"model__safetensors": None, "pytorch_model__bin": b"x"}, "pickles", "safetensors"),
        ({"config__json": None, "q4__gguf": b"GGUF"}, "it holds GGUF files", "safetensors"),
        ({"model__safetensors": None, "q4__gguf": b"GGUF"}, "it holds GGUF files", "safetensors"),
        ({"config__json": None, "adapter_config__json": {}}, "LoRA adapter", "trained on"),
        ({"config__json": None, "params__json": {}}, "Mistral's own format", "revision"),
        ({"tokenizer__json": None}, "there is no tokenizer", "tokenizer.json"),
        ({"tokenizer__json": b"nope"}, "tokenizer.json is not valid JSON", "Fetch it again"),
        (
            {"model.safetensors.index.json": {"weight_map": {"w": "a.safetensors"}}},
            "the weights file a.safetensors is missing",
            "Fetch it again",
        ),
        ({"chat_template.jinja": b"\xff"}, "chat_template.jinja is not UTF-8", "Fetch it again"),
    ],
)
def test_each_fault_is_a_sentence_and_what_to_do(tmp_path: Path, contents: dict[str, Any], words: str, hint: str):
    make_model(tmp_path / "m", **contents)
    with pytest.raises(ModelUnusable, match=words) as caught:
        read_files(tmp_path / "m")
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_place_that_is_no_directory(tmp_path: Path):
    (tmp_path / "model.gguf").touch()
    with pytest.raises(ModelUnusable, match="there is no such directory"):
        read_files(tmp_path / "nothing")
    with pytest.raises(ModelUnusable, match="this is a file") as caught:
        read_files(tmp_path / "model.gguf")
    assert "GGUF" in caught.value.hint


def test_duplicates_of_the_weights_are_not_counted(tmp_path: Path):
    make_model(
        tmp_path,
        **{"consolidated.safetensors": WEIGHTS, "pytorch_model.bin": b"x", "adapter_model.safetensors": WEIGHTS},
    )
    assert sum(tensor.elements for tensor in read_files(tmp_path).tensors) == 100


def test_all_shards_are_read_and_only_those_of_the_index(tmp_path: Path):
    index = {
        "metadata": {},
        "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-2.safetensors"},
    }
    make_model(
        tmp_path,
        **{
            "model.safetensors.index.json": index,
            "model-1.safetensors": safetensors({"a": ("F32", (5,))}),
            "model-2.safetensors": safetensors({"b": ("F32", (6,)), "c": ("F32", (7,))}),
        },
    )
    assert sum(tensor.elements for tensor in read_files(tmp_path).tensors) == 18


def test_without_an_index_every_shard_counts():
    assert weight_files(["b.safetensors", "a.safetensors", "consolidated.safetensors"], None) == (
        "a.safetensors",
        "b.safetensors",
    )


NAMED = [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]


@pytest.mark.parametrize(
    ("contents", "template"),
    [
        ({"chat_template.jinja": b"own", "tokenizer_config.json": {"chat_template": "other"}}, "own"),
        ({"tokenizer_config.json": {"chat_template": "there"}}, "there"),
        ({"tokenizer_config.json": {"chat_template": NAMED}}, "t"),
        ({"tokenizer_config.json": {"chat_template": NAMED[:1]}}, "d"),
        ({"chat_template.json": {"chat_template": "j"}}, "j"),
        ({"tokenizer_config.json": {"chat_template": 5}}, None),
        ({}, None),
    ],
)
def test_the_chat_template_is_found_wherever_it_is(tmp_path: Path, contents: dict[str, Any], template: str | None):
    assert read_files(make_model(tmp_path, **contents)).chat_template == template


def test_sentence_transformers_modules(tmp_path: Path):
    modules = [
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "a.Pooling", "path": "1_Pooling"},
        7,
    ]
    make_model(
        tmp_path,
        **{
            "modules.json": modules,
            "1_Pooling/config.json": {"pooling_mode_cls_token": True},
            "sentence_bert_config.json": {"max_seq_length": 99},
        },
    )
    found = read_files(tmp_path)
    assert found.pooling == {"pooling_mode_cls_token": True}
    assert found.sentence_bert == {"max_seq_length": 99}
    assert len(found.modules) == 2


def test_a_module_does_not_lead_out_of_the_directory(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    for place in ("..", "../x", "/etc"):
        make_model(tmp_path / "m", **{"modules.json": [{"type": "a.Pooling", "path": place}]})
        assert read_files(tmp_path / "m").pooling == {}
