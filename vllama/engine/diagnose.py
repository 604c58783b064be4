"""Finds out why an engine failed, from its exit status and its last lines, in plain words. Pure.

The table follows what vLLM 0.32 prints (one row a failure that was seen). A ``permanent`` cause would fail
again in the same way, so the supervisor does not restart it.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Cause:
    """One failure, as the journal, ``vllama ps``, STATUS and the waiting client report it."""

    code: str
    """Stable, for metrics and programs: ``out_of_memory``, ``bad_flag`` ..."""
    text: str
    """What happened, one sentence."""
    hint: str = ""
    """What to do about it, one sentence."""
    permanent: bool = False
    status: int = 500
    """HTTP status for the client that waited."""
    memory: bool = False
    """A plan that asks for less memory may succeed."""
    outside: bool = False
    """Not caused by the engine: what it needs to be started or watched (disk, descriptors) was not available."""

    @property
    def sentence(self) -> str:
        """Text and hint as one line."""
        return f"{self.text} ({self.hint})" if self.hint else self.text


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    code: str
    text: str
    hint: str
    permanent: bool = True


# Less memory may help against these; each is reported once the plans with less memory have failed, too.
_MEMORY: Final = frozenset({"out_of_memory", "gpu_busy", "kv_cache_too_big", "kv_cache_too_small"})


def _rule(pattern: str, code: str, text: str, hint: str, *, permanent: bool = True) -> _Rule:
    return _Rule(re.compile(pattern), code, text, hint, permanent)


# The first rule that matches any line applies: specific ones stand before general ones. {0} is the first group's text.
_RULES: Final = (
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

_STARVED: Final = Cause(
    "out_of_memory",
    "the kernel killed the engine because memory ran out",
    "lower max_model_len or kv_cache_memory, use a smaller model, or give the service more memory",
    memory=True,
)

_PREFIX = re.compile(r"^\(\w+(?: pid=\d+)?\)\s+(?:[A-Z]+ \d\d-\d\d [\d:]+ \[[^\]]+\] )?")
_CANDIDATE = re.compile(r"^\s*(?:Value error, (?P<value>.*)|[\w.]*(?:Error|Exception|Interrupt): (?P<error>.*))")
_NOISE = (
    "Engine core initialization failed",
    "WorkerProc initialization failed",
    "See stack trace",
    "validation error for",
)
_TAIL = re.compile(r"\s*\[type=\w+.*$|,? ?please check the stack trace.*$", re.IGNORECASE)
_MAX_REASON = 300


def diagnose(returncode: int | None, lines: Sequence[str], *, oom_killed: bool = False) -> Cause:
    """The cause of an unexpected exit. ``returncode`` is asyncio's (negative: killed by that signal).

    ``oom_killed``: meanwhile the kernel has killed one of its processes because memory ran out (memory.events).
    """
    if oom_killed:
        return _STARVED
    for rule in _RULES:
        for line in lines:
            if match := rule.pattern.search(line):
                groups = [_clip(g or "") for g in match.groups()]
                memory = rule.code in _MEMORY
                return Cause(rule.code, rule.text.format(*groups), rule.hint, rule.permanent, memory=memory)
    if returncode is not None and returncode < 0:
        return _killed(-returncode)
    reason = _reason(lines)
    if returncode == 2:
        return Cause(
            "bad_flag",
            f"vLLM refuses its arguments: {reason or 'no reason given'}",
            "correct the model's settings in /etc/vllama.yaml",
            permanent=True,
        )
    if reason:
        return Cause("crashed", f"the engine failed: {reason}", "the engine's log has the details")
    status = "without a status" if returncode is None else f"with status {returncode}"
    return Cause("crashed", f"the engine ended by itself {status}", "the engine's log has the details")


def _killed(number: int) -> Cause:
    if number == signal.SIGKILL:
        return Cause(
            "killed",
            "the engine was killed (SIGKILL), usually by the kernel for lack of memory",
            "use a smaller model, context or KV cache",
        )
    if number in {signal.SIGILL, signal.SIGSEGV}:
        return Cause(
            "kernel_crash",
            f"the engine crashed ({signal.Signals(number).name})",
            "this processor or driver may not fit the engine's build",
        )
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return Cause("killed", f"the engine was killed by {name}")


def _reason(lines: Iterable[str]) -> str:
    """vLLM's own most specific line: a ``Value error``, else the first of the engine core's errors, else the last."""
    first = last = ""
    for raw in lines:
        line = _PREFIX.sub("", raw)
        match = _CANDIDATE.match(line)
        if match is None or any(noise in line for noise in _NOISE):
            continue
        text = _clip(_TAIL.sub("", match["value"] or line.strip()))
        if match["value"]:
            return text
        if raw.startswith(("(Worker", "(EngineCore")):
            first = first or text
        last = text
    return first or last


def _clip(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 1] + "…"
