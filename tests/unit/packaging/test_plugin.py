"""The file by which vLLM finds our plugin."""

from __future__ import annotations

from importlib.metadata import PathDistribution

from vllama.engine import plugins


def test_the_entry_point_names_a_function_that_is_there():
    (info,) = plugins.FOLDER.glob("*.dist-info")
    (entry,) = PathDistribution(info).entry_points
    assert (entry.group, entry.name) == ("vllm.general_plugins", plugins.NAME)
    assert callable(entry.load())
