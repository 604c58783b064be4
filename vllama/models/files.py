"""Reads the few files of a model's directory that tell what it is. Never loads a weight.

Every fault becomes a ``ModelUnusable`` with a sentence and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from vllama.errors import ModelUnusable
from vllama.models.facts import ModelFiles
from vllama.models.safetensors import PREFIX_BYTES, HeaderError, Tensor, header_length, read_tensors

_LARGEST_JSON: Final = 256 << 20
_TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json", "vocab.txt", "spiece.model",
                      "sentencepiece.bpe.model")  # fmt: skip
_INDEX: Final = "model.safetensors.index.json"
_AGAIN: Final = "Fetch it again, or remove the directory."


def weight_files(names: Iterable[str], index: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Which safetensors files hold the weights, without the duplicates that repositories carry.

    ``names``: files of the directory itself. ``index``: model.safetensors.index.json, when there is one.
    """
    shards = index.get("weight_map") if index else None
    if isinstance(shards, Mapping):
        return tuple(sorted({str(name) for name in shards.values()}))
    found = [name for name in names if name.endswith(".safetensors")]
    return tuple(sorted(name for name in found if not name.startswith(("consolidated", "adapter_"))))


def read_files(directory: Path) -> ModelFiles:
    """Read ``directory``; raises ModelUnusable."""
    names = _list(directory)
    label = str(directory)
    if "config.json" not in names:
        raise _without_config(label, names)
    config = _object(directory / "config.json")
    index = _object(directory / _INDEX) if _INDEX in names else None
    weights = weight_files(names, index)
    if not weights:
        raise _without_weights(label, names)
    tensors = tuple(tensor for name in weights for tensor in _tensors(directory, name))
    if not (names & set(_TOKENIZERS) or any(name.endswith(".tiktoken") for name in names)):
        raise ModelUnusable(
            f"{label}: there is no tokenizer",
            hint="tokenizer.json (or tokenizer.model) belongs beside config.json; copy it from its repository.",
        )
    tokenizer_config = _object(directory / "tokenizer_config.json") if "tokenizer_config.json" in names else {}
    modules = _json(directory / "modules.json") if "modules.json" in names else []
    modules = tuple(module for module in modules if isinstance(module, dict)) if isinstance(modules, list) else ()
    return ModelFiles(
        label=label,
        config=config,
        tensors=tensors,
        generation_config=_object(directory / "generation_config.json") if "generation_config.json" in names else {},
        tokenizer_config=tokenizer_config,
        tokenizer=_tokenizer(directory / "tokenizer.json") if "tokenizer.json" in names else {},
        chat_template=_chat_template(directory, names, tokenizer_config),
        mistral_tokenizer="tekken.json" in names,
        modules=modules,
        sentence_bert=_object(directory / "sentence_bert_config.json") if "sentence_bert_config.json" in names else {},
        pooling=_pooling(directory, modules),
    )


def _list(directory: Path) -> set[str]:
    try:
        return {entry.name for entry in directory.iterdir()}
    except FileNotFoundError as error:
        raise ModelUnusable(
            f"there is no directory {directory}", hint="Correct its source in the configuration."
        ) from error
    except NotADirectoryError as error:
        hint = "GGUF needs a plugin of vLLM; use the safetensors repository." if directory.suffix == ".gguf" else ""
        raise ModelUnusable(f"{directory} is a file, not a model's directory", hint=hint) from error
    except OSError as error:
        raise ModelUnusable(
            f"{directory} can't be read: {error.strerror}", hint="Let the service's user read it (chmod, chown)."
        ) from error


def _without_config(label: str, names: set[str]) -> ModelUnusable:
    if any(name.endswith(".gguf") for name in names):
        return ModelUnusable(
            f"{label}: GGUF needs a plugin that vLLM does not contain",
            hint="Use the repository with safetensors weights that the GGUF files were made from.",
        )
    if "adapter_config.json" in names:
        return ModelUnusable(f"{label}: it is a LoRA adapter, not a model", hint="Serve the model it was trained on.")
    if "params.json" in names:
        return ModelUnusable(
            f"{label}: it is in Mistral's own format (params.json without config.json)",
            hint="Use a revision of the repository that has config.json.",
        )
    return ModelUnusable(
        f"{label}: there is no config.json", hint="A model's directory holds config.json, weights and a tokenizer."
    )


def _without_weights(label: str, names: set[str]) -> ModelUnusable:
    if any(name.endswith(".gguf") for name in names):
        return ModelUnusable(
            f"{label}: GGUF needs a plugin that vLLM does not contain",
            hint="Use the repository with safetensors weights that the GGUF files were made from.",
        )
    if any(name.endswith((".bin", ".pt", ".pth")) for name in names):
        return ModelUnusable(
            f"{label}: its weights are pickles (.bin), which can run code when they are loaded",
            hint="Use a repository or revision with safetensors weights.",
        )
    return ModelUnusable(f"{label}: there are no weights (*.safetensors)", hint=_AGAIN)


def _tensors(directory: Path, name: str) -> tuple[Tensor, ...]:
    path = directory / name
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header = file.read(header_length(file.read(PREFIX_BYTES), size))
        return read_tensors(header, size)
    except FileNotFoundError as error:
        raise ModelUnusable(f"{directory}: the weights file {name} is missing", hint=_AGAIN) from error
    except OSError as error:
        raise ModelUnusable(
            f"{path} can't be read: {error.strerror}", hint="Let the service's user read it."
        ) from error
    except HeaderError as error:
        raise ModelUnusable(f"{directory}: the weights file {name} {error}", hint=_AGAIN) from error


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise ModelUnusable(f"{path} is larger than {_LARGEST_JSON >> 20} MiB", hint=_AGAIN)
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ModelUnusable(f"{path} is not valid JSON: {error.msg} (line {error.lineno})", hint=_AGAIN) from error
    except FileNotFoundError as error:
        raise ModelUnusable(f"{path} is missing", hint=_AGAIN) from error
    except OSError as error:
        raise ModelUnusable(
            f"{path} can't be read: {error.strerror}", hint="Let the service's user read it."
        ) from error


def _object(path: Path) -> dict[str, Any]:
    found = _json(path)
    if isinstance(found, dict):
        return found
    raise ModelUnusable(f"{path} does not hold a JSON object", hint=_AGAIN)


def _tokenizer(path: Path) -> dict[str, Any]:
    """The few facts of a tokenizer.json that are needed, not its vocabulary."""
    found = _object(path)
    model = found.get("model")
    model = model if isinstance(model, dict) else {}
    added = found.get("added_tokens")
    return {
        "model_type": model.get("type"),
        "byte_fallback": model.get("byte_fallback"),
        "added_tokens": {
            entry["content"]: entry["id"]
            for entry in (added if isinstance(added, list) else ())
            if isinstance(entry, dict) and isinstance(entry.get("content"), str) and isinstance(entry.get("id"), int)
        },
    }


def _chat_template(directory: Path, names: set[str], tokenizer_config: Mapping[str, Any]) -> str | None:
    """chat_template.jinja, else that of chat_template.json or tokenizer_config.json; of several the one for tools."""
    if "chat_template.jinja" in names:
        try:
            return (directory / "chat_template.jinja").read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelUnusable(f"{directory}: chat_template.jinja can't be read: {error}", hint=_AGAIN) from error
    found = tokenizer_config.get("chat_template")
    if found is None and "chat_template.json" in names:
        found = _object(directory / "chat_template.json").get("chat_template")
    if isinstance(found, list):
        named = {str(entry.get("name")): entry.get("template") for entry in found if isinstance(entry, dict)}
        found = named.get("tool_use") or named.get("default")
    return found if isinstance(found, str) else None


def _pooling(directory: Path, modules: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    for module in modules:
        place = str(module.get("path", ""))
        if str(module.get("type", "")).endswith("Pooling") and place and "/" not in place and place != "..":
            path = directory / place / "config.json"
            return _object(path) if path.is_file() else {}
    return {}
