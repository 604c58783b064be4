"""A LoRA adapter as PEFT saves it: a directory with adapter_config.json and adapter_model.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from vllama.errors import ModelUnusable
from vllama.models.model import Adapter
from vllama.models.modeljson import is_pointer, read_object
from vllama.models.safetensors import PREFIX_BYTES, HeaderError, header_length, read_tensors

_CONFIG: Final = "adapter_config.json"
_WEIGHTS: Final = "adapter_model.safetensors"
_LARGEST_RANK: Final = 512
_HINT: Final = "An adapter is what PEFT's save_pretrained writes: adapter_config.json and adapter_model.safetensors."


def read_adapter(path: Path) -> Adapter:
    """Raises ModelUnusable for what vLLM can't load."""
    config = _config(path / _CONFIG)
    kind, rank = config.get("peft_type", "LORA"), config.get("r")
    if kind != "LORA":
        raise ModelUnusable(f"the adapter is of the kind {kind}; only LoRA can be served")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= _LARGEST_RANK:
        raise ModelUnusable(f"the adapter's rank must be between 1 and {_LARGEST_RANK}, not {rank!r}", hint=_HINT)
    if config.get("use_dora"):
        raise ModelUnusable("the adapter uses DoRA, which vLLM can't serve")
    if config.get("modules_to_save"):
        raise ModelUnusable(
            "the adapter replaces whole modules (modules_to_save), which vLLM can't serve",
            hint="Merge it into the model: PEFT's merge_and_unload.",
        )
    _check_weights(path / _WEIGHTS)
    return Adapter(path, rank)


def _config(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ModelUnusable(f"the adapter has no {_CONFIG}", hint=_HINT)
    try:
        return read_object(path)
    except ModelUnusable as error:
        raise ModelUnusable(f"the adapter's {error.message}", hint=_HINT) from error


def _check_weights(path: Path) -> None:
    if is_pointer(path):
        raise ModelUnusable(f"the adapter's {_WEIGHTS} is a git-LFS pointer", hint="Run 'git lfs pull' where it is.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            tensors = read_tensors(file.read(header_length(file.read(PREFIX_BYTES), size)), size)
    except FileNotFoundError as error:
        raise ModelUnusable(f"the adapter has no {_WEIGHTS}", hint=_HINT) from error
    except OSError as error:
        raise ModelUnusable(f"the adapter's {_WEIGHTS} can't be read: {error.strerror}") from error
    except HeaderError as error:
        raise ModelUnusable(f"the adapter's {_WEIGHTS} {error}") from error
    if not any(".lora_" in tensor.name for tensor in tensors):
        raise ModelUnusable(f"the adapter's {_WEIGHTS} holds no LoRA weights", hint=_HINT)
