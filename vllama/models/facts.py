"""From what a model's files say to ``Facts``. Pure: ``models.files`` has read them.

Nothing is taken from the model's name: the same rules hold for a directory that is called ``foo``. What a model of an
architecture does is the engine's to say (``install.registry``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vllama.errors import ModelUnusable
from vllama.install.registry import Registry
from vllama.models.attention import read_attention, text_config, whole_number
from vllama.models.fim import can_fill_in
from vllama.models.model import Attention, Facts, Task
from vllama.models.parsers import Parsers, choose_parsers
from vllama.models.quantization import MLX, Quantization, read_quantization
from vllama.models.safetensors import Tensor
from vllama.models.tasks import read_task

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The parts of a model's directory that say what it is; missing files are empty."""

    label: str
    """What to call it in messages: its directory."""
    config: Json
    tensors: tuple[Tensor, ...]
    generation_config: Json = field(default_factory=dict)
    tokenizer_config: Json = field(default_factory=dict)
    tokenizer: Json = field(default_factory=dict)
    """``model_type`` (``BPE``, ``WordPiece``, ``Unigram``), ``byte_fallback`` and ``added_tokens`` (text to id)."""
    chat_template: str | None = None
    mistral_tokenizer: bool = False
    modules: tuple[Json, ...] = ()
    """modules.json of sentence-transformers."""
    sentence_bert: Json = field(default_factory=dict)
    pooling: Json = field(default_factory=dict)
    quantization: Json = field(default_factory=dict)
    """hf_quant_config.json of ModelOpt."""


_DTYPES: Final = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
_LEVELS: Final = {"F8_E4M3": "FP8", "F8_E5M2": "FP8", "I8": "INT8", "U8": "INT8"}
_FILE_TYPES: Final = {"F32": 0, "F16": 1, "BF16": 32}
_POOLINGS: Final = (("mean_tokens", 1), ("cls_token", 2), ("lasttoken", 3))
# A turn begins or ends at these: a model that writes one has said all it had to say. (Not "<|end|>": Harmony writes
# it between its channels; where it ends a turn it is among the eos tokens.)
_TURNS: Final = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<turn|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|return|>",
    "<|im_start|>",
    "<|start_header_id|>",
    "<start_of_turn>",
    "<|user|>",
)
_PACKED: Final = re.compile(r"(?:^|\.)(?:qweight|weight_packed)\Z")
_LAYER: Final = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d{1,6})\.")
_SCALES: Final = re.compile(
    r"(?:scales?|scale_inv|zeros|zero_point|g_idx|weight_shape|global_scale|input_scale|weight_scale\w*|position_ids"
    r"|inv_freq|k_scale|v_scale)\Z"
)


def read_facts(files: ModelFiles, registry: Registry) -> Facts:
    """What the model is; raises ModelUnusable when it is nothing that the engine of ``registry`` can serve."""
    architecture, task, quantized = read_kind(files, registry)
    text = text_config(files.config)
    _check_layers(files, text)
    tensors = _used(files.tensors, task)
    level = quantized.level or _level(tensors)
    family = str(files.config.get("model_type") or architecture)
    trained, limit = _context(files, text)
    added = _added_tokens(files)
    parsers = choose_parsers(
        files.chat_template,
        architecture,
        response_template="response_template" in files.tokenizer_config,
        mistral_tokenizer=files.mistral_tokenizer,
    )
    if task == "embed":
        parsers = Parsers()
    return Facts(
        architecture=architecture,
        family=family,
        task=task,
        parameter_count=sum(_parameters(tensor, quantized.bits) for tensor in tensors),
        weight_bytes=sum(tensor.size for tensor in files.tensors),
        quantization=level,
        context_length=limit,
        embedding_length=whole_number(text, "hidden_size", "n_embd", "d_model"),
        details=_details(files, text, task, level, trained if trained != limit else 0),
        capabilities=("embedding",) if task == "embed" else _capabilities(files, parsers, added),
        chat_template=files.chat_template,
        tool_parser=parsers.tool,
        reasoning_parser=parsers.reasoning,
        special_tokens=added,
        stop_tokens=_stop_tokens(files, added) if task == "generate" else (),
        dtype="" if quantized.method else _DTYPES.get(level, ""),
        # encoders keep no KV cache; embedders made of a decoder do, and say so by their key-value heads
        attention=read_attention(text) if task == "generate" or "num_key_value_heads" in text else Attention(),
    )


def read_kind(files: ModelFiles, registry: Registry) -> tuple[str, Task, Quantization]:
    """Architecture, task and quantisation, which need no weights; raises ModelUnusable like ``read_facts``."""
    architecture, task = read_task(files.config, files.modules, registry, files.label)
    quantized = read_quantization(files.config, files.quantization)
    _check_quantization(files, quantized, registry)
    return architecture, task, quantized


def _check_layers(files: ModelFiles, text: Json) -> None:
    """Weights with fewer layers than config.json states belong to another model, or are incomplete."""
    stated = whole_number(text, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
    held = max((int(found[1]) + 1 for one in files.tensors if (found := _LAYER.search(one.name))), default=stated)
    if stated > held:
        raise ModelUnusable(
            f"config.json states {stated} layers, the weights have {held}",
            hint="The files belong to different models, or some are missing; fetch it again.",
            where=files.label,
        )


def _check_quantization(files: ModelFiles, quantized: Quantization, registry: Registry) -> None:
    if quantized.method == MLX:
        raise ModelUnusable(
            "its weights are quantised by MLX, for Apple's computers only",
            hint="Use the repository that it was converted from, or an AWQ, GPTQ or FP8 one.",
            where=files.label,
        )
    if quantized.method and not registry.quantizes(quantized.method):
        raise ModelUnusable(
            f"{quantized.method} checkpoints are not supported by vLLM {registry.version}",
            hint="Use an AWQ, GPTQ or FP8 repository of this model, or the unquantised one.",
            where=files.label,
        )


def _used(tensors: tuple[Tensor, ...], task: Task) -> list[Tensor]:
    """Without buffers and, for embedders, without the pooler that sentence embeddings don't use (as Ollama counts)."""
    return [
        tensor
        for tensor in tensors
        if not _SCALES.search(tensor.name) and not (task == "embed" and "pooler." in tensor.name)
    ]


def _parameters(tensor: Tensor, bits: int) -> int:
    if tensor.dtype in {"I32", "I64"}:
        return tensor.elements * (32 if tensor.dtype == "I32" else 64) // bits if _PACKED.search(tensor.name) else 0
    if tensor.dtype == "U8" and (tensor.name.endswith(("_blocks", "weight_packed", ".weight"))):
        return tensor.elements * 2  # MXFP4 and NVFP4 keep two numbers in a byte
    return tensor.elements


def _level(tensors: list[Tensor]) -> str:
    sizes: dict[str, int] = {}
    for tensor in tensors:
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.size
    widest = max(sizes, key=lambda dtype: sizes[dtype], default="unknown")
    return _LEVELS.get(widest, widest)


def _context(files: ModelFiles, text: Json) -> tuple[int, int]:
    """The architecture's limit in tokens and the one that holds here, as vLLM derives them."""
    keys = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_target_positions",
            "max_sequence_length", "max_seq_length", "seq_len")  # fmt: skip
    found = [number for key in keys if (number := whole_number(text, key))]
    trained = whole_number(text, "model_max_length") or min(found, default=0) or 2048
    tokenizer = whole_number(files.tokenizer_config, "model_max_length")
    limit = min(trained, tokenizer) if tokenizer else trained
    rope = text.get("rope_parameters") or text.get("rope_scaling")
    if isinstance(rope, Mapping) and "gemma3" not in str(text.get("model_type")):
        kind = rope.get("rope_type") or rope.get("type") or "default"
        if (
            kind in {"linear", "dynamic"}
            and isinstance(factor := rope.get("factor"), (int, float))
            and 1 < factor < 1e4
        ):
            limit = trained = int(limit * factor)
    if sentence := whole_number(files.sentence_bert, "max_seq_length"):
        limit = sentence
    return trained, limit


def _added_tokens(files: ModelFiles) -> dict[str, int]:
    found = files.tokenizer.get("added_tokens")
    if isinstance(found, Mapping) and found:
        return {str(text): int(number) for text, number in found.items()}
    decoder = files.tokenizer_config.get("added_tokens_decoder")
    return {
        str(entry["content"]): int(number)
        for number, entry in (decoder.items() if isinstance(decoder, Mapping) else ())
        if isinstance(entry, Mapping) and "content" in entry and str(number).isdecimal()
    }


def _stop_tokens(files: ModelFiles, added: Mapping[str, int]) -> tuple[str, ...]:
    """eos of the generation and model config, of the tokenizer, then the chat format's own marks."""
    texts = {number: text for text, number in added.items()}
    found: list[str] = []
    for source in (files.generation_config, files.config, text_config(files.config)):
        eos = source.get("eos_token_id")
        numbers = eos if isinstance(eos, list) else [eos]
        found.extend(texts[number] for number in numbers if isinstance(number, int) and number in texts)
    eos_token = files.tokenizer_config.get("eos_token")
    if isinstance(eos_token, Mapping):
        eos_token = eos_token.get("content")
    if isinstance(eos_token, str):
        found.append(eos_token)
    template = files.chat_template or ""
    found.extend(mark for mark in _TURNS if mark in added and mark in template)
    return tuple(dict.fromkeys(found))


def _capabilities(files: ModelFiles, parsers: Parsers, added: Mapping[str, int]) -> tuple[str, ...]:
    found = ["completion"]
    if parsers.tool is not None:
        found.append("tools")
    if can_fill_in(added):
        found.append("insert")
    thinker = files.config.get("thinker_config")
    if any(
        isinstance(place, Mapping) and isinstance(place.get("vision_config"), Mapping)
        for place in (files.config, thinker)
    ):
        found.append("vision")
    if parsers.reasoning is not None:
        found.append("thinking")
    return tuple(found)


def _details(files: ModelFiles, text: Json, task: Task, level: str, trained: int) -> dict[str, int | float | str]:
    """GGUF-style keys for ``model_info``; what the files don't say is left out."""
    heads = whole_number(text, "num_attention_heads", "n_head", "num_heads", "n_heads")
    attention = read_attention(text)
    found: dict[str, int | float | str | None] = {
        "block_count": whole_number(text, "num_hidden_layers", "n_layer", "num_layers", "n_layers"),
        "attention.head_count": heads,
        "attention.layer_norm_rms_epsilon": text.get("rms_norm_eps"),
        "attention.layer_norm_epsilon": text.get("layer_norm_eps"),
        "feed_forward_length": whole_number(text, "intermediate_size", "n_inner", "ffn_dim"),
        "context_length": trained,
        "general.file_type": _FILE_TYPES.get(level),
        "tokenizer.ggml.model": _tokenizer_kind(files),
    }
    if task == "generate":
        found |= {
            "attention.head_count_kv": attention.kv_heads,
            "attention.key_length": attention.head_dim,
            "attention.value_length": attention.head_dim,
            "vocab_size": whole_number(text, "vocab_size"),
            "rope.freq_base": _rope_base(text),
            "expert_count": whole_number(text, "num_experts", "num_local_experts", "n_routed_experts"),
            "expert_used_count": whole_number(text, "num_experts_per_tok"),
            "attention.sliding_window": attention.window,
        }
    else:
        found["pooling_type"] = next(
            (kind for key, kind in _POOLINGS if files.pooling.get(f"pooling_mode_{key}")), None
        )
    for key, name in (
        ("eos_token_id", "eos_token_id"),
        ("bos_token_id", "bos_token_id"),
        ("pad_token_id", "padding_token_id"),
    ):
        number = files.config.get(key)
        if isinstance(number, int) and not isinstance(number, bool):
            found[f"tokenizer.ggml.{name}"] = number
    zero_means_something = ("general.", "tokenizer.")
    return {
        key: value
        for key, value in found.items()
        if value is not None
        and (value or key.startswith(zero_means_something))
        and isinstance(value, (int, float, str))
        and not (isinstance(value, float) and not math.isfinite(value))
    }


def _rope_base(text: Json) -> int | float | None:
    rope = text.get("rope_parameters")
    base = rope.get("rope_theta") if isinstance(rope, Mapping) else None
    base = base if base is not None else text.get("rope_theta")
    if not isinstance(base, (int, float)) or not math.isfinite(base):
        return None
    return int(base) if float(base).is_integer() else base


def _tokenizer_kind(files: ModelFiles) -> str | None:
    """llama.cpp's names for the kinds of tokenizer."""
    kind = files.tokenizer.get("model_type")
    if kind == "BPE":
        return "llama" if files.tokenizer.get("byte_fallback") else "gpt2"
    return {"WordPiece": "bert", "Unigram": "t5"}.get(str(kind))
