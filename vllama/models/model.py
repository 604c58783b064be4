"""A model as the rest of vLLama sees it: a frozen record that ``models.store`` makes from files. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vllama.models.names import ModelName

Task = Literal["generate", "embed"]


@dataclass(frozen=True, slots=True)
class Attention:
    """What decides how much memory a token of context takes."""

    full_layers: int = 0
    """Layers that keep every token."""
    window_layers: int = 0
    """Layers that keep the last ``window`` tokens."""
    window: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    latent: int = 0
    """MLA: the length of the one vector that each token and layer keeps in place of keys and values; 0 otherwise."""
    state_bytes: int = 0
    """Constant state of the linear (Mamba, GDN, convolution) layers per sequence."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Read from a model's files (config.json, safetensors headers, tokenizer files), never from its name."""

    architecture: str
    """``architectures[0]`` of config.json, e.g. ``Qwen3ForCausalLM``."""
    family: str
    """``model_type`` of config.json, e.g. ``qwen3``, ``bert``."""
    task: Task
    parameter_count: int
    """Number of parameters, counted from the safetensors headers."""
    weight_bytes: int
    """Bytes of all tensors on disk."""
    quantization: str
    """Ollama's ``quantization_level``: ``BF16``, ``F16``, ``F32``, ``FP8``, ``AWQ`` ..."""
    context_length: int
    """Trained context in tokens (for embedders the sentence-transformers limit)."""
    embedding_length: int
    """Hidden size."""
    details: Mapping[str, int | float | str] = field(default_factory=dict)
    """``model_info`` extras in GGUF-style keys without the architecture prefix: ``block_count``,
    ``attention.head_count``, ``attention.head_count_kv``, ``attention.key_length``, ``feed_forward_length``,
    ``vocab_size``, ``rope.freq_base``, ``pooling_type`` ...; keys that begin with ``general.`` or ``tokenizer.`` are
    whole already. ``context_length`` is here only where the architecture's own limit is another one."""
    capabilities: tuple[str, ...] = ()
    """Of ``completion, tools, insert, vision, embedding, thinking``."""
    chat_template: str | None = None
    tool_parser: str | None = None
    reasoning_parser: str | None = None
    special_tokens: Mapping[str, int] = field(default_factory=dict)
    """Added tokens of the tokenizer, text to id: a stop string that is one of these stops by id."""
    stop_tokens: tuple[str, ...] = ()
    """Texts at which the model's own files say a turn ends (eos tokens, ``<|im_end|>`` ...)."""
    dtype: str = ""
    """Of the weights as vLLM names it: ``bfloat16``, ``float16``, ``float32``; empty where they are quantised."""
    attention: Attention = Attention()

    @property
    def rounds_badly(self) -> bool:
        """An embedding model whose weights are finer than bfloat16: rounded, its vectors would be others."""
        return self.task == "embed" and self.dtype in {"float32", "float16"}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA directory; ``models.adapter`` reads it."""

    path: Path
    rank: int
    """vLLM keeps room for the largest one (``--max-lora-rank``)."""


@dataclass(frozen=True, slots=True)
class Model:
    """One servable name. Derived models (SYSTEM, PARAMETER, MESSAGE) share ``path`` and so the engine."""

    name: ModelName
    path: Path
    """Directory with config.json, weights and tokenizer."""
    facts: Facts
    digest: str
    """64 lower-case hex digits, stable while the files are unchanged."""
    size: int
    """Bytes on disk."""
    modified_at: float
    """Unix seconds."""
    parent: str = ""
    system: str = ""
    template: str = ""
    """A Go template (Modelfile TEMPLATE); empty: the model's own chat template, applied by vLLM."""
    license: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Stored options (Modelfile PARAMETER), weaker than the request's."""
    messages: tuple[Mapping[str, Any], ...] = ()
    keep_alive: float | None = None
    """Seconds to stay loaded after the last use (``models.NAME.keep_alive``); None: the server's default."""

    adapter: Adapter | None = None
    """LoRA weights that are computed on top of the base's, in the base's engine."""
    lora_rank: int = 0
    """The largest rank among the adapters of all models with these files; 0 without adapters."""
    lora_count: int = 0
    """How many adapters these files have."""
    pinned: bool = False
    """Its engine is never evicted to make room for another."""

    @property
    def engine_key(self) -> str:
        """Models with the same key share one engine."""
        return str(self.path)
