"""Compiled code that vLLM would throw away gets what vLLM asks of it; other versions are left alone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from vllama_engine import aot_loading
from vllama_engine.changing import Unfit


@pytest.fixture
def vllm(tmp_path: Path) -> Iterator[Path]:
    """The source of vLLM's ``decorators``, for a test to write."""
    folder = tmp_path / "vllm" / "compilation"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    before = list(sys.path)
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield folder / "decorators.py"
    sys.path[:] = before
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]


class Loaded:
    """As torch's: what it lacks, it looks for in the function that it holds."""

    def __getattr__(self, name):
        return getattr(len, name)


def test_a_loaded_function_gets_the_method_that_vllm_calls(vllm):
    vllm.write_text(f"raise SystemExit\n{aot_loading.CALL}\n")
    kind = type("Loaded", (Loaded,), {})
    with pytest.raises(AttributeError):
        kind().finalize_loading({})
    aot_loading.apply(SimpleNamespace(BundledAOTAutogradSerializableCallable=kind))
    assert kind().finalize_loading({}) is None


def test_a_vllm_that_loads_in_another_way_is_left_alone(vllm):
    vllm.write_text("if hasattr(...): ...\n")
    kind = type("Loaded", (Loaded,), {})
    with pytest.raises(Unfit, match="this vLLM"):
        aot_loading.apply(SimpleNamespace(BundledAOTAutogradSerializableCallable=kind))
    assert not hasattr(kind, "finalize_loading")


def test_a_torch_that_keeps_code_in_another_way_is_left_alone(vllm):
    vllm.write_text(aot_loading.CALL)
    with pytest.raises(Unfit, match="this torch"):
        aot_loading.apply(SimpleNamespace())
    own = type("Own", (), {"finalize_loading": lambda *_: 1})
    with pytest.raises(Unfit, match="itself"):
        aot_loading.apply(SimpleNamespace(BundledAOTAutogradSerializableCallable=own))
    assert own().finalize_loading({}) == 1
