"""A model whose code is kept runs with a few tokens before it is ready; one that must be compiled runs with all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from vllama_engine import compile_news, warm_up
from vllama_engine.changing import Unfit


class Compiler:
    """The functions of ``vllm.compilation.decorators`` that matter, with one kept file, or none."""

    def __init__(self, code: Path) -> None:
        self.module = ModuleType(compile_news.MODULE)
        self.code = code
        self.fits = True
        self.compiled = 0
        setattr(self.module, compile_news.LOADER, lambda model, path: "code" if self.fits else None)

    def run(self) -> None:
        """As a model's first call."""
        if getattr(self.module, compile_news.LOADER)(None, str(self.code)) is None or not self.code.exists():
            self.compiled += 1


def runner_of(compiler: Compiler, *, ranks: int = 1, kv_cache: int | None = 1 << 20) -> Any:
    """A module like ``vllm.v1.worker.cpu_model_runner``, changed; and a runner of its class."""

    class CPUModelRunner:
        max_num_tokens = 2048
        vllm_config = SimpleNamespace(parallel_config=SimpleNamespace(world_size=ranks))
        cache_config = SimpleNamespace(kv_cache_memory_bytes=kv_cache)

        def __init__(self) -> None:
            self.ran: list[int] = []
            self.sampled = 0

        def warming_up_model(self) -> None:
            self.profile_run()

        def profile_run(self) -> None:
            self._dummy_run(self.max_num_tokens, is_profile=True)
            self._dummy_sampler_run("hidden states")

        def _dummy_run(self, num_tokens: int, is_profile: bool = False) -> None:
            compiler.run()
            self.ran.append(num_tokens)

        def _dummy_sampler_run(self, hidden: str) -> None:
            self.sampled += 1

    warm_up.apply(SimpleNamespace(CPUModelRunner=CPUModelRunner))  # type: ignore[arg-type]
    return CPUModelRunner()


@pytest.fixture
def compiler(tmp_path: Path) -> Iterator[Compiler]:
    made = Compiler(tmp_path / "model")
    sys.modules[compile_news.MODULE] = made.module
    yield made
    del sys.modules[compile_news.MODULE]


def test_kept_code_is_loaded_by_a_run_of_a_few_tokens(compiler: Compiler) -> None:
    compiler.code.touch()
    runner = runner_of(compiler)
    runner.warming_up_model()
    assert (runner.ran, runner.sampled, compiler.compiled) == ([16], 0, 0)


def test_without_code_it_is_compiled_with_all_tokens_and_nothing_is_sampled(compiler: Compiler) -> None:
    runner = runner_of(compiler)
    runner.warming_up_model()
    assert (runner.ran, runner.sampled, compiler.compiled) == ([2048], 0, 1)


def test_code_that_cannot_be_loaded_is_compiled_with_all_tokens(compiler: Compiler) -> None:
    compiler.code.touch()
    compiler.fits = False
    runner = runner_of(compiler)
    runner.warming_up_model()
    assert (runner.ran, compiler.compiled) == ([2048], 1)


@pytest.mark.parametrize("given", [{"ranks": 2}, {"kv_cache": None}])
def test_several_ranks_and_an_unknown_kv_cache_are_warmed_up_as_before(compiler: Compiler, given: Any) -> None:
    compiler.code.touch()
    runner = runner_of(compiler, **given)
    runner.warming_up_model()
    assert (runner.ran, runner.sampled) == ([2048], 1)


def test_afterwards_everything_is_as_before(compiler: Compiler) -> None:
    before = getattr(compiler.module, compile_news.LOADER)
    runner = runner_of(compiler)
    runner.warming_up_model()
    assert getattr(compiler.module, compile_news.LOADER) is before
    assert not {"profile_run", "_dummy_sampler_run"} & vars(runner).keys()
    runner.profile_run()
    assert runner.sampled == 1


def test_a_failure_while_code_is_loaded_reaches_vllm(compiler: Compiler) -> None:
    compiler.code.touch()
    runner = runner_of(compiler)

    def fails(_: Any, __: str) -> None:
        raise RuntimeError("no memory")

    setattr(compiler.module, compile_news.LOADER, fails)
    with pytest.raises(RuntimeError, match="no memory"):
        runner.warming_up_model()


def test_a_runner_of_another_kind_is_left_alone() -> None:
    with pytest.raises(Unfit):
        warm_up.apply(SimpleNamespace())  # type: ignore[arg-type]
