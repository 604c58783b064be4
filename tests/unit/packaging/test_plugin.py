"""The engine's plugin is in every package of ours, with the file by which vLLM finds it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

from vllama import child
from vllama.engine import plugins

ROOT = Path(__file__).parents[3]
_BUILD = """
from setuptools import Distribution
from setuptools.config.pyprojecttoml import apply_configuration
build = apply_configuration(Distribution({"script_name": "none"}), "pyproject.toml").get_command_obj("build_py")
build.build_lib = "/nowhere"
build.ensure_finalized()
print(*build.get_outputs(include_bytecode=0), sep="\\n")
"""


def test_a_wheel_holds_the_plugin_and_its_entry_point():
    argv = (sys.executable, "-W", "ignore", "-c", _BUILD)
    done = subprocess.run(argv, **child.start(cwd=ROOT), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = Path("/nowhere") / plugins.FOLDER.relative_to(ROOT)
    packed = {Path(line).relative_to(folder) for line in done.stdout.splitlines() if line.startswith(f"{folder}/")}
    lying = {path.relative_to(plugins.FOLDER) for path in plugins.FOLDER.rglob("*") if path.is_file()}
    assert packed == {path for path in lying if "__pycache__" not in path.parts}
    assert {path.name for path in packed} >= {"entry_points.txt", "METADATA", "__init__.py"}


def test_the_entry_point_names_a_function_that_is_there():
    (info,) = plugins.FOLDER.glob("*.dist-info")
    (entry,) = PathDistribution(info).entry_points
    assert (entry.group, entry.name) == ("vllm.general_plugins", plugins.NAME)
    assert callable(entry.load())
