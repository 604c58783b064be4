"""Log probabilities without a wait: on a CPU the tokens' ranks are counted by plain code instead of compiled code.

vLLM 0.32 counts how many tokens are as likely as the chosen one by a function that is compiled at its first use.
On a GPU that takes a moment. On a CPU the engine's only worker runs a C++ compiler for half a minute, and answers no
request meanwhile. The plain code takes as long as the softmax before it.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from .changing import Unfit, source_of

MODULE = "vllm.v1.sample.ops.logprobs"
FUNCTION = "batched_count_greater_than"
CODE = "return (x >= values).sum(-1)"
_AT_ONCE = 1 << 22
"""Elements that are compared in one go: torch copies them as 8-byte numbers to add them up."""


def apply(module: ModuleType) -> None:
    """Put plain code in place of the compiled function, on a CPU."""
    if CODE not in source_of(MODULE) or not hasattr(module, FUNCTION):
        raise Unfit("this vLLM counts ranks in another way")
    if module.current_platform.is_cpu():
        setattr(module, FUNCTION, count_at_least)


def count_at_least(x: Any, values: Any) -> Any:
    """How many elements of each row of ``x`` (rows, elements) are not below that row's value (rows, 1)."""
    rows = max(_AT_ONCE // x.shape[1], 1)
    counts = [(part >= limit).sum(-1) for part, limit in zip(x.split(rows), values.split(rows), strict=True)]
    return counts[0] if len(counts) == 1 else import_module("torch").cat(counts)
