"""How a checkpoint's weights are quantised, from its config.json: the method, its short name, its bits. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vllama.models.attention import text_config, whole_number

Json = Mapping[str, Any]

_BLOCKS: Final = ("quantization_config", "compression_config")
_MODELOPT: Final = "modelopt"
MLX: Final = "mlx"
"""What ``method`` is for a checkpoint of MLX: its block names no method."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """Of a whole checkpoint."""

    method: str = ""
    """As vLLM calls it: ``awq``, ``gptq``, ``fp8``, ``compressed-tensors`` ...; empty for plain weights."""
    level: str = ""
    """Ollama's word for it, in few letters."""
    bits: int = 4
    """Of one packed weight."""


def read_quantization(config: Json, modelopt: Json) -> Quantization:
    """``modelopt``: hf_quant_config.json, where ModelOpt's older checkpoints say it."""
    block = _block(config, modelopt)
    if block is None:
        return Quantization()
    method = _method(block)
    bits = _bits(block)
    return Quantization(method, _level(method, block, bits), bits) if method else Quantization(bits=bits)


def _block(config: Json, modelopt: Json) -> Json | None:
    """The first description of a quantisation: of the whole model, else of its language model (as vLLM looks)."""
    thinker = config.get("thinker_config")
    for place in (config, text_config(config), thinker if isinstance(thinker, Mapping) else {}):
        for key in _BLOCKS:
            if isinstance(found := place.get(key), Mapping) and found:
                return found
    # MLX's converter of old wrote no quantization_config
    if isinstance(found := config.get("quantization"), Mapping) and "group_size" in found:
        return found
    inner = modelopt.get("quantization")
    return {**inner, "quant_method": _MODELOPT} if isinstance(inner, Mapping) and inner.get("quant_algo") else None


def _method(block: Json) -> str:
    method = str(block.get("quant_method") or "").lower().replace("compressed_tensors", "compressed-tensors")
    if method:
        return method
    producer = block.get("producer")
    if isinstance(producer, Mapping) and producer.get("name") == _MODELOPT:
        return _MODELOPT
    if block.get("load_in_4bit") or block.get("load_in_8bit"):
        return "bitsandbytes"
    return MLX if "group_size" in block and "bits" in block else ""


def _level(method: str, block: Json, bits: int) -> str:
    if method == "compressed-tensors":
        name = str(block.get("format", "")).lower()
        if "nvfp4" in name:
            return "NVFP4"
        if "float" in name:
            return "FP8"
        return "W4A16" if bits == 4 else "W8A8" if "int-quantized" in name else f"W{bits}A16"
    if method == _MODELOPT:
        inner = block.get("quantization")
        algorithm = block.get("quant_algo") or (inner.get("quant_algo") if isinstance(inner, Mapping) else None)
        return str(algorithm or "FP8").upper()
    return method.upper()


def _bits(block: Json) -> int:
    """Bits of one packed weight; 4 unless the checkpoint says another number."""
    return next(_declared_bits(block), 4)


def _declared_bits(block: Json) -> Iterator[int]:
    if found := whole_number(block, "bits", "w_bit"):
        yield found
    groups = block.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping) and (found := whole_number(weights, "num_bits")):
            yield found
