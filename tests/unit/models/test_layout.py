"""Which files of a repository or directory make up a model."""

from __future__ import annotations

from vllama.models.layout import needed_files


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
