"""A start says beforehand whether it loads or compiles, and leaves no code behind that can't be loaded."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from vllama_engine import compile_news
from vllama_engine.changing import Unfit


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """What vLLM kept for a model, with a kernel and a folder of kernels beside it."""
    code = tmp_path / "0123" / "rank_0_0" / "model"
    kernels = tmp_path / "0123" / compile_news.KERNELS
    (kernels / "ab").mkdir(parents=True)
    code.parent.mkdir()
    for file in (code, kernels / "ab" / "kernel.so", kernels / "loose"):
        file.write_text("code")
    return code


def loaded(code: Path, answer: object, world_size: int = 1) -> object:
    """What vLLM's function, which answers ``answer``, returns once it is wrapped."""
    module = SimpleNamespace()
    setattr(module, compile_news.LOADER, lambda model, aot_compilation_path: answer)
    compile_news.apply(module)
    parallel = SimpleNamespace(world_size=world_size)
    model = SimpleNamespace(vllm_config=SimpleNamespace(parallel_config=parallel))
    return getattr(module, compile_news.LOADER)(model, str(code))


def test_code_that_is_kept_is_announced_and_stays(code, caplog):
    caplog.set_level(logging.INFO)
    assert loaded(code, "function") == "function"
    assert f"loading compiled code from {code}" in caplog.text
    assert code.exists()


def test_code_that_is_missing_is_announced_as_compiling(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert loaded(tmp_path / "a" / "b" / "model", None) is None
    assert "compiling: no code is kept in" in caplog.text


def test_code_that_cannot_be_loaded_goes_with_the_kernels_that_may_be_why(code):
    assert loaded(code, None) is None
    assert not code.exists()
    kernels = code.parents[1] / compile_news.KERNELS
    assert list(kernels.iterdir()) == []  # the folder stays: Inductor writes into it


@pytest.mark.parametrize(
    ("world_size", "left"), [(1, {"whole.so"}), (2, {"empty.so", "half.so", "whole.so", "zeros.so"})]
)
def test_kernels_that_an_unfinished_compilation_cut_off_go_before_the_next_one(code, world_size, left):
    whole = Path(psutil._psutil_linux.__file__).read_bytes()  # any library
    kernels = code.parents[1] / compile_news.KERNELS / "ab"
    for name, content in {"whole": whole, "half": whole[: len(whole) // 2], "zeros": bytes(9999), "empty": b""}.items():
        (kernels / f"{name}.so").write_bytes(content)
    (kernels / "kernel.so").unlink()
    code.unlink()
    assert loaded(code, None, world_size) is None
    assert {file.name for file in kernels.iterdir()} == left


def test_kernels_that_other_processes_of_the_engine_use_stay(code):
    assert loaded(code, None, world_size=2) is None
    assert code.exists()


def test_a_vllm_that_loads_in_another_way_is_left_alone():
    module = SimpleNamespace(**{compile_news.LOADER: lambda model: None})
    for other in (module, SimpleNamespace()):
        with pytest.raises(Unfit):
            compile_news.apply(other)
