"""What files without a servable model in them are instead, by their names: the reason, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

_OTHER: Final = "Use a repository of this model with config.json and safetensors weights."


@dataclass(frozen=True, slots=True)
class Reason:
    """Why vLLM can't serve some files."""

    text: str
    """The rest of a sentence that begins with the files' place: ``holds GGUF files, ...``."""
    hint: str = _OTHER


ADAPTER: Final = Reason(
    "is a LoRA adapter, not a model",
    "Get the model that it was trained on (base_model_name_or_path in adapter_config.json), then create a model of "
    "both: a Modelfile with FROM that model and ADAPTER the adapter's directory.",
)
_MISTRAL: Final = Reason(
    "is in Mistral's own format only (params.json and consolidated.safetensors, without config.json)",
    "Use a revision or a repository of this model that has config.json.",
)
_BY_NAME: Final = tuple(
    (re.compile(pattern), Reason(text, hint))
    for pattern, text, hint in (
        (
            r".*\.gguf",
            "holds GGUF files, which need a plugin that vLLM does not contain",
            "Use the repository with the safetensors weights that they were made from.",
        ),
        (r"weights(\.\d+)?\.npz", "is in MLX's format, for Apple's computers only", _OTHER),
        (r"mlc-chat-config\.json|params_shard_\d+\.bin", "is compiled for MLC", _OTHER),
        (r"openvino_.*\.(xml|bin)", "is in OpenVINO's format", _OTHER),
        (r"(.*/)?.*\.onnx(_data)?", "is in ONNX format", _OTHER),
        (r"(.*/)?.*\.(mlmodel|mlpackage|mlmodelc)(/.*)?", "is in Core ML's format", _OTHER),
        (r".*\.(tflite|task|litertlm)", "is in LiteRT's format", _OTHER),
        (r".*\.engine", "is compiled for TensorRT", _OTHER),
        (r".*\.nemo", "is in NeMo's format", _OTHER),
        (
            r".*\.(bin|pt|pth|ckpt)",
            "keeps its weights as pickles (.bin, .pt), which can run code when they are loaded",
            "Use a repository or revision with safetensors weights.",
        ),
        (r"tf_model.*\.h5|flax_model.*\.msgpack", "holds weights of TensorFlow or Flax only", _OTHER),
        (r".+/.*\.safetensors", "keeps its weights in folders, which is not the layout that vLLM reads", _OTHER),
    )
)


def reason(names: Collection[str]) -> Reason | None:
    """Why these files are no model for vLLM; None where their names don't tell.

    Call it for files without config.json or without weights (``choosing.weight_files``). ``names``: with their folders.
    """
    if "model_index.json" in names:
        return Reason("is a pipeline of diffusers: it makes images or video, not text", "Use a language model.")
    if "params.json" in names and "config.json" not in names:
        return _MISTRAL
    if "adapter_config.json" in names:
        return ADAPTER
    return next((found for pattern, found in _BY_NAME if any(pattern.fullmatch(name) for name in names)), None)
