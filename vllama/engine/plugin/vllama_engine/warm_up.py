"""A model whose code is kept is warmed up with a few tokens: with all that fit, it takes seconds for nothing.

Before an engine on a CPU is ready, vLLM runs the model once with as many tokens as one step may have, and samples for
as many requests as may run. This has two purposes: the model is compiled, and the memory that it needs becomes known.
But code that is loaded needs no such run, and the service gives the size of the KV cache, so that nobody asks how much
memory was needed. An engine that does not compile is not warmed up by vLLM either.

A model that must be compiled is still run with all tokens, because the compiler looks at the size, but it samples for
nobody.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from .changing import Unfit
from .compile_news import LOADER
from .compile_news import MODULE as COMPILING

MODULE = "vllm.v1.worker.cpu_model_runner"
_FEW = 16
"""Tokens, and requests, of a run that compiles nothing."""


class NothingKept(Exception):
    """There is no compiled code that can be loaded."""


def apply(module: ModuleType) -> None:
    """Let the model runner of CPUs do no more than it must."""
    runner: Any = getattr(module, "CPUModelRunner", None)
    names = ("warming_up_model", "profile_run", "_dummy_run", "_dummy_sampler_run")
    if runner is None or not all(hasattr(runner, name) for name in names):
        raise Unfit("this vLLM warms up a model in another way")
    if {"num_tokens", "is_profile"} - signature(runner._dummy_run).parameters.keys():  # noqa: SLF001
        raise Unfit("this vLLM's trial run has other arguments")
    warm_up = runner.warming_up_model

    @functools.wraps(warm_up)
    def warming_up_model(self: Any) -> None:
        if self.vllm_config.parallel_config.world_size == 1 and self.cache_config.kv_cache_memory_bytes:
            with replaced(self, "profile_run", lambda: short_run(self)):
                warm_up(self)
        else:  # ranks would have to agree on whether all of them have the code
            warm_up(self)

    runner.warming_up_model = warming_up_model


def short_run(runner: Any) -> None:
    """What replaces ``profile_run``."""
    few = min(_FEW, runner.max_num_tokens)
    try:
        with replaced(sys.modules[COMPILING], LOADER, only_loading(getattr(sys.modules[COMPILING], LOADER))):
            runner._dummy_run(num_tokens=few, is_profile=True)  # noqa: SLF001
    except NothingKept:
        with replaced(runner, "_dummy_sampler_run", lambda _: None):
            type(runner).profile_run(runner)


def only_loading(load: Any) -> Any:
    """The loader of compiled code, which raises NothingKept in place of letting vLLM compile."""

    def load_or_raise(model: Any, aot_compilation_path: str) -> Any:
        found = load(model, aot_compilation_path) if Path(aot_compilation_path).exists() else None
        if found is None:
            raise NothingKept
        return found

    return load_or_raise


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Have another attribute meanwhile."""
    missing = object()
    before = vars(owner).get(name, missing)
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name) if before is missing else setattr(owner, name, before)
