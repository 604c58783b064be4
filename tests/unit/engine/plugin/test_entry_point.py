"""vLLM finds our plugin by what the service puts into the engine's environment."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions

from vllama import child
from vllama.engine import plugins


def test_an_interpreter_that_knows_the_folder_finds_and_loads_the_entry_point():
    code = (
        "from importlib.metadata import entry_points\n"
        "(found,) = entry_points(group='vllm.general_plugins')\n"
        "found.load()(); print(found.name)"
    )
    env, _ = plugins.with_plugin({})
    done = subprocess.run(
        [sys.executable, "-c", code], **child.start({}, more=env), capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (plugins.NAME, "")


def test_it_is_one_distribution_with_a_name_and_a_version():
    (found,) = distributions(path=[str(plugins.FOLDER)])
    assert (found.metadata["Name"], bool(found.version)) == ("vllama-engine", True)
