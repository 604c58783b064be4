"""vLLM's failures at start: what each prints, from which process, and its exit status (measured with 0.32.0)."""

from __future__ import annotations

from dataclasses import dataclass

_ENGINE_DEAD = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"


@dataclass(frozen=True)
class Failure:
    """``process`` logs ``lines`` as an error; an API server's traceback is plain text on stderr."""

    lines: tuple[str, ...]
    process: str = "APIServer"
    exit_code: int = 1


def _server(*lines: str) -> Failure:
    return Failure(lines)


def _worker(*lines: str) -> Failure:
    return Failure(lines, "Worker")


def _core(*lines: str) -> Failure:
    return Failure(lines, "EngineCore")


def epilogue(failure: Failure) -> str:
    """The API server's own last line, which says nothing, when a child failed."""
    return "" if failure.process == "APIServer" else _ENGINE_DEAD


FAILURES: dict[str, Failure] = {
    "no_directory": _server(
        "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or "
        "'namespace/repo_name': '/nonexistent/model'. Use `repo_type` argument if needed."
    ),
    "no_config": _server(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, Invalid repository ID or local directory specified: '/models/x'.",
        "Please verify the following requirements: [type=value_error, input_value=ArgsKwargs(...)]",
    ),
    "not_cached": _server(
        "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder for the "
        "specified revision on the local disk and outgoing traffic has been disabled. To enable repo look-ups and "
        "downloads online, pass 'local_files_only=False' as input."
    ),
    "hub_unreachable": _server(
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the "
        "cached files."
    ),
    "gated": _server(
        "OSError: You are trying to access a gated repo.",
        "Make sure to have access to it at https://huggingface.co/acme/some-model.",
    ),
    "no_repository": _server(
        "OSError: acme/some-model is not a local folder and is not a valid model identifier listed on "
        "'https://huggingface.co/models'"
    ),
    "architecture": _server(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, Model architectures ['FooBarForCausalLM'] are not supported for now. Supported "
        "architectures: dict_keys(['" + "', '".join(f"Arch{n}ForCausalLM" for n in range(300)) + "'])",
    ),
    "model_type": _server(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, The checkpoint you are trying to load has model type `foobar` but Transformers does not "
        "recognize this architecture. This could be because of an issue with the checkpoint.",
    ),
    "no_tokenizer": _server(
        "ValueError: Couldn't instantiate the backend tokenizer from one of: ",
        "(1) a `tokenizers` library serialization file, ",
        "(2) a slow tokenizer instance to convert or ",
        "(3) an equivalent slow tokenizer class to instantiate and convert. ",
    ),
    "no_weights": _worker("RuntimeError: Cannot find any model weights with `/models/x`"),
    "truncated_weights": _worker(
        "safetensors._safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, "
        "file not fully covered"
    ),
    "gguf": _server("OSError: It looks like the config file at 'x.gguf' is not a valid JSON file."),
    "quantization": _server(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, Unknown quantization method: bitsandbytes. Must be one of ['auto_awq', 'auto_gptq', 'fp8'].",
    ),
    "context_too_long": _server(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, User-specified max_model_len (8192) is greater than the derived max_model_len "
        "(max_position_embeddings=4096.0 or model_max_length=None in model's config.json). To allow overriding this "
        "maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1. [type=value_error, input_value=ArgsKwargs(...)]",
    ),
    "port": _server("OSError: [Errno 98] Address already in use"),
    "kv_too_large": _worker(
        "ValueError: Available memory on node 0 (15.14/18.21 GiB) on kv cache allocation is less than requested "
        "memory for kv (400.0 GiB). Decrease --kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE, or use a larger machine."
    ),
    "kv_too_small": _core(
        "ValueError: To serve at least one request with the model's max seq len (4096), (0.01 GiB KV cache is needed, "
        "which is larger than the available KV cache memory (0.0 GiB). Based on the available memory, the estimated "
        "maximum model length is 384. Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when "
        "initializing the engine."
    ),
    "shapes": _worker(
        "RuntimeError: The size of tensor a (512) must match the size of tensor b (256) at non-singleton dimension 1"
    ),
    "numa_nodes": _core("AssertionError: Not enough allowed NUMA nodes to bind threads of 4 local CPUWorkers. "),
    "cache_directory": _worker("FileNotFoundError: [Errno 2] No such file or directory: '/proc/nope'"),
    "tool_parser": _server("KeyError: 'invalid tool call parser: nosuch (chose from { hermes,mistral })'"),
    "reasoning_parser": _server(
        "KeyError: \"Reasoning parser 'nosuch' not found. Available parsers: deepseek_r1, qwen3\""
    ),
    "parser_tokenizer": _server(
        "TypeError: --tool-call-parser mistral cannot be used with the tokenizer of '/models/x': Mistral parser could "
        "not locate the tool call token in the tokenizer!"
    ),
    "sleep_mode": _server(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, Sleep mode is not supported on current platform. [type=value_error, input_value=...]",
    ),
    "gpu_busy": _core(
        "ValueError: Free memory on device cuda:0 (3.1/23.6 GiB) on startup is less than desired GPU memory "
        "utilization (0.92, 21.7 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
    ),
    "gpu_out_of_memory": _core(
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB. GPU 0 has a total capacity of "
        "23.64 GiB of which 102.19 MiB is free."
    ),
    "no_device": _server(
        "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG` "
        "to turn on verbose logging to help debug the issue."
    ),
    "not_ready": _server("TimeoutError: Timed out waiting for engine core processes to start. Still waiting for 1."),
    "no_metadata": _server("importlib.metadata.PackageNotFoundError: No package metadata was found for vllm"),
}
"""Argument errors (unknown flag, bad choice) are not here: ``flags`` makes them, with exit status 2."""
