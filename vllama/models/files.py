"""Reads the few files of a model's directory that say what it is. Never loads a weight.

Every fault becomes a ``ModelUnusable`` with a sentence and what to do.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from vllama.errors import ModelUnusable
from vllama.models.facts import ModelFiles
from vllama.models.foreign import ADAPTER, adapter_of, reason
from vllama.models.layout import ADAPTER_FILES, INDEX, TEMPLATES, is_plain, weight_files
from vllama.models.modeljson import AGAIN, is_pointer, read_bytes, read_json, read_object, unreadable
from vllama.models.safetensors import PREFIX_BYTES, HeaderError, Tensor, header_length, read_tensors

_TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json", "vocab.txt", "spiece.model",
                      "sentencepiece.bpe.model", "sentencepiece.model", "spm.model")  # fmt: skip
KIND_FILES: Final = ("config.json", "modules.json", "hf_quant_config.json")
"""Of these the first is in every model."""
_CONSISTS: Final = "A model's directory holds config.json, weights and a tokenizer."


def read_files(directory: Path) -> ModelFiles:
    """Read ``directory``; raises ModelUnusable."""
    names = _list(directory)
    if "config.json" not in names:
        # a wrong path may be any directory: only its own names count
        raise _foreign(directory, names, "there is no config.json", _CONSISTS)
    _check_pointers(directory, names)
    weights = _weights(directory, names)
    read_object(directory / "config.json")
    if not weights:
        below = {f"{path.parent.name}/{path.name}" for path in directory.glob("*/*")}
        raise _foreign(directory, names | below, "there are no weights (*.safetensors)", AGAIN)
    tensors = tuple(tensor for name in weights for tensor in _tensors(directory, name))
    if not (names & set(_TOKENIZERS) or any(name.endswith(".tiktoken") for name in names)):
        raise ModelUnusable(
            "there is no tokenizer",
            hint="tokenizer.json (or tokenizer.model) belongs next to config.json; copy it from its repository.",
            where=directory,
        )

    def optional(name: str) -> dict[str, Any]:
        return read_object(directory / name) if name in names else {}

    tokenizer_config = optional("tokenizer_config.json")
    kind = read_kind_files(directory)
    return replace(
        kind,
        tensors=tensors,
        generation_config=optional("generation_config.json"),
        tokenizer_config=tokenizer_config,
        tokenizer=_tokenizer(optional("tokenizer.json")),
        chat_template=_chat_template(directory, names, tokenizer_config),
        mistral_tokenizer="tekken.json" in names,
        sentence_bert=optional("sentence_bert_config.json"),
        pooling=_pooling(directory, kind.modules),
    )


def read_kind_files(directory: Path) -> ModelFiles:
    """Only what says what a model is for (``KIND_FILES``); raises ModelUnusable."""
    config, modules, quantization = (directory / name for name in KIND_FILES)
    found = read_json(modules) if modules.exists() else []
    return ModelFiles(
        label=str(directory),
        config=read_object(config),
        tensors=(),
        modules=tuple(module for module in found if isinstance(module, dict)) if isinstance(found, list) else (),
        quantization=read_object(quantization) if quantization.exists() else {},
    )


def _list(directory: Path) -> set[str]:
    try:
        return {entry.name for entry in directory.iterdir()}
    except FileNotFoundError as error:
        raise ModelUnusable(
            "there is no such directory",
            hint="Correct the path: as you typed it, or as the source in the configuration.",
            where=directory,
        ) from error
    except NotADirectoryError as error:
        hint = "GGUF needs a plugin of vLLM; use the safetensors repository." if directory.suffix == ".gguf" else ""
        raise ModelUnusable("this is a file, not a model's directory", hint=hint, where=directory) from error
    except OSError as error:
        raise unreadable(directory, error) from error


def _foreign(directory: Path, names: set[str], text: str, hint: str) -> ModelUnusable:
    """Why this is not a model: what the directory holds instead, else ``text``."""
    found = reason(names)
    if found is ADAPTER:
        found = adapter_of(read_object(directory / ADAPTER_FILES[0]))
    return ModelUnusable(f"it {found.text}" if found else text, hint=found.hint if found else hint, where=directory)


def _check_pointers(directory: Path, names: set[str]) -> None:
    for name in sorted(names):
        if is_pointer(directory / name):
            raise ModelUnusable(
                f"{name} is a git-LFS pointer: git cloned the name of the file without its contents",
                hint="Run 'git lfs pull' there, or let vLLama fetch the repository: vllama pull org/name",
                where=directory,
            )


def _weights(directory: Path, names: set[str]) -> tuple[str, ...]:
    try:
        return weight_files(names, read_object(directory / INDEX) if INDEX in names else None)
    except ValueError as error:
        raise ModelUnusable(f"{INDEX} {error}", hint=AGAIN, where=directory) from error


def _tensors(directory: Path, name: str) -> tuple[Tensor, ...]:
    path = directory / name
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ModelUnusable(f"the weights file {name} is not an ordinary file", hint=AGAIN, where=directory)
        with path.open("rb") as file:
            header = file.read(header_length(file.read(PREFIX_BYTES), found.st_size))
        return read_tensors(header, found.st_size)
    except FileNotFoundError as error:
        raise ModelUnusable(f"the weights file {name} is missing", hint=AGAIN, where=directory) from error
    except OSError as error:
        raise unreadable(path, error) from error
    except HeaderError as error:
        raise ModelUnusable(f"the weights file {name} {error}", hint=AGAIN, where=directory) from error


def _tokenizer(found: Mapping[str, Any]) -> dict[str, Any]:
    """The few facts of a tokenizer.json that are needed, not its vocabulary."""
    if not found:
        return {}
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
    """The template that vLLM takes when there are tools: of several the one of that name, else the default one.

    They stand in chat_template.jinja and its folder of named ones, else in tokenizer_config.json or chat_template.json.
    """
    named: dict[str, Any] = {}
    if TEMPLATES in names:
        named = {path.stem: _text(path) for path in sorted((directory / TEMPLATES).glob("*.jinja"))}
    if "chat_template.jinja" in names:
        named["default"] = _text(directory / "chat_template.jinja")
    if not named:
        found = tokenizer_config.get("chat_template")
        if found is None and "chat_template.json" in names:
            found = read_object(directory / "chat_template.json").get("chat_template")
        if isinstance(found, list):
            named = {str(entry.get("name")): entry.get("template") for entry in found if isinstance(entry, dict)}
        else:
            named = dict(found) if isinstance(found, dict) else {"default": found}
    template = named.get("tool_use") or named.get("default")
    return template if isinstance(template, str) else None


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelUnusable(f"{path.name} is not UTF-8", hint=AGAIN, where=path.parent) from error


def _pooling(directory: Path, modules: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    for module in modules:
        place = str(module.get("path", ""))
        if str(module.get("type", "")).endswith("Pooling") and is_plain(place):
            path = directory / place / "config.json"
            return read_object(path) if path.is_file() else {}
    return {}
