"""What vLLM's statistics read of the settings for every token is read once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from vllama_engine import corruption_check
from vllama_engine.changing import Unfit

SETTINGS = """
reads = []

def __getattr__(name):
    if not name.startswith("VLLM_"):
        raise AttributeError(name)
    reads.append(name)
    return True
"""
STATISTICS = "from vllm import envs\ndef token():\n    return envs.VLLM_COMPUTE_NANS_IN_LOGITS\n"


@pytest.fixture
def vllm(tmp_path: Path) -> Iterator[Path]:
    """vLLM's settings, and its statistics for a test to write."""
    folder = tmp_path / "vllm" / "v1" / "metrics"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent, folder.parent.parent):
        (package / "__init__.py").touch()
    (tmp_path / "vllm" / "envs.py").write_text(SETTINGS)
    before = list(sys.path)
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield folder / "stats.py"
    sys.path[:] = before
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]


def test_a_thousand_tokens_read_the_setting_once(vllm):
    vllm.write_text(STATISTICS)
    statistics = importlib.import_module(corruption_check.MODULE)
    corruption_check.apply(statistics)
    assert all(statistics.token() is True for _ in range(1000))
    assert importlib.import_module("vllm.envs").reads == ["VLLM_COMPUTE_NANS_IN_LOGITS"]


@pytest.mark.parametrize("source", [STATISTICS + "    envs.VLLM_OTHER\n", "import vllm.envs as envs\n"])
def test_statistics_that_read_other_settings_are_left_alone(vllm, source):
    vllm.write_text(source)
    statistics = importlib.import_module(corruption_check.MODULE)
    with pytest.raises(Unfit, match="other settings"):
        corruption_check.apply(statistics)
    assert statistics.envs is importlib.import_module("vllm.envs")
