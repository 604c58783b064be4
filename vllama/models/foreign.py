"""What files without a servable model in them are instead, by their names: the reason, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_OTHER: Final = "Use a repository of this model with config.json and safetensors weights."


@dataclass(frozen=True, slots=True)
class Reason:
    """Why vLLM can't serve some files."""

    text: str
    """The rest of a sentence that begins with the files' place: ``holds GGUF files, ...``."""
    hint: str = _OTHER


ADAPTER: Final = Reason(
    "is a LoRA adapter, not a model",
    "Create a model of both: a Modelfile with FROM the model that it was trained on, and ADAPTER its directory.",
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


def adapter_of(config: Any) -> Reason:
    """``ADAPTER``, with the repository of the model that it was trained on. ``config``: adapter_config.json."""
    base = config.get("base_model_name_or_path") if isinstance(config, Mapping) else None
    if not isinstance(base, str) or not _REPOSITORY.fullmatch(base):
        return ADAPTER
    hint = f"Create a model of both: a Modelfile with FROM {base}, and ADAPTER its directory."
    return Reason(f"is a LoRA adapter for {base}, not a model", hint)


def reason(names: Collection[str]) -> Reason | None:
    """Why these files are not a model for vLLM; None if their names don't show it.

    Call it for files without config.json or without weights (``layout.weight_files``). ``names``: with their folders.
    """
    if "model_index.json" in names:
        return Reason("is a pipeline of diffusers: it makes images or video, not text", "Use a language model.")
    if "params.json" in names and "config.json" not in names:
        return _MISTRAL
    if "adapter_config.json" in names:
        return ADAPTER
    return next((found for pattern, found in _BY_NAME if any(pattern.fullmatch(name) for name in names)), None)
