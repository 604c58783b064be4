"""What vLLM 0.32 prints when it fails, and what that means: one row for each failure that was seen. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """One failure."""

    pattern: re.Pattern[str]
    code: str
    text: str
    hint: str
    permanent: bool = True


def _rule(pattern: str, code: str, text: str, hint: str, *, permanent: bool = True) -> Rule:
    return Rule(re.compile(pattern), code, text, hint, permanent)


# The first rule that matches any line applies: specific ones stand before general ones. {0} is the first group's text.
RULES: Final = (
    _rule(
        r"error: unrecognized arguments: (.*)",
        "bad_flag",
        r"vLLM does not know the argument {0}",
        "remove it from extra_args in /etc/vllama.yaml",
    ),
    _rule(
        r"error: argument (.*)",
        "bad_flag",
        r"vLLM refuses an argument: {0}",
        "correct the model's settings in /etc/vllama.yaml",
    ),
    _rule(
        r"CUDA out of memory|HIP out of memory|OutOfMemoryError",
        "out_of_memory",
        "the GPU ran out of memory",
        "lower max_model_len or gpu_memory_utilization, use a quantised model, or stop other programs that use the GPU",
    ),
    _rule(
        r"Free memory on device (\S+ \([^)]*\))",
        "gpu_busy",
        "not enough free GPU memory on {0}",
        "another program uses the GPU: stop it, or lower gpu_memory_utilization",
    ),
    _rule(
        r"requested memory for kv \(([^)]*)\)",
        "kv_cache_too_big",
        "the KV cache of {0} does not fit into memory",
        "lower kv_cache_memory for this model",
    ),
    _rule(
        r"estimated maximum model length is (\d+)",
        "kv_cache_too_small",
        "the KV cache is too small for the context; {0} tokens would fit",
        "lower max_model_len to that, or set it to auto",
    ),
    _rule(
        r"No available memory for the cache blocks",
        "kv_cache_too_small",
        "no memory is left for the KV cache",
        "raise gpu_memory_utilization or use a smaller or quantised model",
    ),
    _rule(
        r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=([\d.]+)",
        "context_too_long",
        "max_model_len {0} is more than the model's own limit",
        "lower max_model_len",
    ),
    _rule(
        r"invalid tool call parser: (\S+)",
        "bad_flag",
        "there is no tool parser named {0}",
        "correct tool_parser in the model's settings, or switch it off with the value none",
    ),
    _rule(
        r"Reasoning parser '([^']*)' not found",
        "bad_flag",
        "there is no reasoning parser named {0}",
        "correct reasoning_parser in the model's settings, or switch it off with the value none",
    ),
    _rule(
        r"--tool-call-parser (\S+) cannot be used with the tokenizer",
        "bad_flag",
        "the tool parser {0} does not fit this model's tokenizer",
        "set tool_parser: none for this model",
    ),
    _rule(r"Sleep mode is not supported", "bad_flag", "this device has no sleep mode", "remove --enable-sleep-mode"),
    _rule(
        r"Model architectures \[(.*?)\] are not supported",
        "unsupported_model",
        "vLLM does not support the architecture {0}",
        "choose another model, or a newer engine",
    ),
    _rule(
        r"model type `([^`]*)` but Transformers does not recognize",
        "unsupported_model",
        "the model type {0} is unknown to this engine",
        "choose another model, or a newer engine",
    ),
    _rule(
        r"Unknown quantization method: (\S+?)\.? ",
        "unsupported_model",
        "the quantisation {0} is not supported",
        "choose a checkpoint in bf16, FP8, AWQ, GPTQ or compressed-tensors",
    ),
    _rule(
        r"looks like the config file at '([^']*\.gguf)'",
        "unsupported_model",
        "GGUF files can't be served",
        "choose the model's safetensors repository",
    ),
    _rule(
        r"Couldn't instantiate the backend tokenizer",
        "bad_model",
        "the model has no usable tokenizer files",
        "download the model again",
    ),
    _rule(
        r"Cannot find any model weights",
        "bad_model",
        "the model's directory has no weights",
        "download the model again",
    ),
    _rule(r"SafetensorError: (.*)", "bad_model", "the model's weights are damaged: {0}", "download the model again"),
    _rule(
        r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
        "bad_model",
        "the weights do not match config.json ({0} against {1})",
        "download the model again",
    ),
    _rule(
        r"Invalid repository ID or local directory specified: '([^']*)'",
        "bad_model",
        "{0} is not a model's directory",
        "it needs a config.json",
    ),
    _rule(
        r"HFValidationError|LocalEntryNotFoundError|not a valid model identifier",
        "bad_model",
        "the model is not on this machine",
        "check its source in /etc/vllama.yaml",
    ),
    _rule(
        r"trying to access a gated repo",
        "gated",
        "the model's repository is gated",
        "accept its licence on the hub and set HF_TOKEN",
    ),
    _rule(
        r"couldn't connect to '", "no_network", "the model hub can't be reached", "check the network", permanent=False
    ),
    _rule(r"Address already in use", "socket_busy", "the engine's socket is in use", "", permanent=False),
    _rule(
        r"Not enough allowed NUMA nodes",
        "bad_flag",
        "tensor parallelism needs more NUMA nodes than there are",
        "set tensor_parallel_size: 1 or cpu_threads",
    ),
    _rule(
        r"Failed to infer device type",
        "no_device",
        "vLLM finds no device it can run on",
        "check the driver, or install the CPU engine: vllama engine install --backend cpu",
    ),
    _rule(
        r"Timed out waiting for engine core processes",
        "start_timeout",
        "the engine was not ready in time",
        "",
        permanent=False,
    ),
    _rule(r"No space left on device", "disk_full", "the disk is full", "free some space", permanent=False),
    _rule(
        r"PackageNotFoundError|ModuleNotFoundError: No module named '(vllm|torch)",
        "engine_broken",
        "the engine's installation is broken",
        "run: vllama engine install --force",
    ),
)
