"""Ranks of tokens are counted without a compiler on a CPU; GPUs and other versions are left alone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from vllama_engine import token_ranks
from vllama_engine.changing import Unfit


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """Of vLLM's ``logprobs``, for a test to write."""
    folder = tmp_path.joinpath(*token_ranks.MODULE.split(".")[:-1])
    folder.mkdir(parents=True)
    for package in (folder, *list(folder.parents)[: token_ranks.MODULE.count(".") - 1]):
        (package / "__init__.py").touch()
    before = list(sys.path)
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield folder / "logprobs.py"
    sys.path[:] = before
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]


def vllm(*, cpu: bool = True, **parts: object) -> SimpleNamespace:
    return SimpleNamespace(current_platform=SimpleNamespace(is_cpu=lambda: cpu), **parts)


def test_on_a_cpu_the_compiled_function_gives_way_to_a_plain_one(source):
    source.write_text(f"def f(x, values):\n    {token_ranks.CODE}\n")
    module = vllm(batched_count_greater_than=len)
    token_ranks.apply(module)
    assert module.batched_count_greater_than is token_ranks.count_at_least


def test_on_a_gpu_nothing_changes(source):
    source.write_text(f"def f(x, values):\n    {token_ranks.CODE}\n")
    module = vllm(cpu=False, batched_count_greater_than=len)
    token_ranks.apply(module)
    assert module.batched_count_greater_than is len


@pytest.mark.parametrize(
    ("code", "parts"), [("return (x > values).sum(-1)", {"batched_count_greater_than": len}), (token_ranks.CODE, {})]
)
def test_a_vllm_that_counts_in_another_way_is_left_alone(source, code, parts):
    source.write_text(f"def f(x, values):\n    {code}\n")
    with pytest.raises(Unfit, match="another way"):
        token_ranks.apply(vllm(**parts))
