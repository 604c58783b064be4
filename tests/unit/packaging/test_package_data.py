"""Whoever installs vLLama gets all its files, not only the modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vllama import child
from vllama.engine import plugins

ROOT = Path(__file__).parents[3]
WEB = ROOT / "vllama" / "web"
_BUILD = """
from setuptools import Distribution
from setuptools.config.pyprojecttoml import apply_configuration
build = apply_configuration(Distribution({"script_name": "none"}), "pyproject.toml").get_command_obj("build_py")
build.build_lib = "/nowhere"
build.distribution.include_package_data = False  # not what an earlier build of this checkout listed
build.ensure_finalized()
print(*build.get_outputs(include_bytecode=0), sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel() -> set[Path]:
    """The files of a wheel, as in the repository."""
    argv = (sys.executable, "-W", "ignore", "-c", _BUILD)
    done = subprocess.run(argv, **child.start(cwd=ROOT), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {ROOT / Path(line).relative_to("/nowhere") for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("folder", "some"),
    [
        pytest.param(plugins.FOLDER, {"entry_points.txt", "METADATA", "__init__.py"}, id="the engine's plugin"),
        pytest.param(WEB, {"index.html", "app.js", "style.css", "icon.svg"}, id="the page"),
    ],
)
def test_a_wheel_holds_each_file_of(wheel: set[Path], folder: Path, some: set[str]):
    lying = {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.relative_to(ROOT) for path in lying - wheel} == set()
    assert {path.name for path in lying} >= some
