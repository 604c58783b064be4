"""``vllama engine`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes.installer import GOOD_ANSWER, make_venv
from vllama.cli.engine import command
from vllama.errors import InstallFailed
from vllama.install.capabilities import write_capabilities
from vllama.install.prefix import Home, Prefix

KEY = {"interpreter": "3.11.7", "vllm": "0.32.0", "torch": "2.13.0+cpu"}


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "STATE_DIR", "CACHE_DIR", "RUNTIME_DIR", "ENGINE_PREFIX"):
        monkeypatch.delenv(f"VLLAMA_{name}", raising=False)
    monkeypatch.setenv("VLLAMA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("VLLAMA_ENGINE_PREFIX", str(tmp_path / "engine"))
    return tmp_path / "engine"


def put(prefix: Path, name: str) -> Home:
    home = Home(prefix / name)
    make_venv(home.path)
    home.python.unlink()
    home.python.write_text(f"#!/bin/sh\necho '{json.dumps(KEY)}'\n")
    home.python.chmod(0o755)
    write_capabilities(home.capabilities_file, GOOD_ANSWER)
    Prefix(prefix).publish(home)
    return home


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_status_of_a_usable_engine(prefix: Path) -> None:
    put(prefix, "0.32.0-cpu")
    done = call("status")
    assert done.exit_code == 0
    for part in ("usable:    yes", "version:   0.32.0", "backend:   cpu", "torch:     2.13.0+cpu", "size:"):
        assert part in done.stdout


def test_status_without_an_engine_fails_and_reports_the_command(prefix: Path) -> None:
    done = call("status")
    assert done.exit_code == 1
    assert "no vLLM engine is installed" in done.stdout
    assert "vllama engine install" in done.stderr


def test_status_as_json_holds_what_is_known(prefix: Path) -> None:
    put(prefix, "0.31.0-cpu")
    home = put(prefix, "0.32.0-cpu")
    reported = json.loads(call("status", "--json").stdout)
    assert reported["usable"] is True
    assert reported["python"] == str(home.python)
    assert reported["previous"] == "0.31.0-cpu"
    assert reported["size"] > 0
    assert "problem" not in reported


def test_status_as_json_without_an_engine_leaves_out_what_is_not_known(prefix: Path) -> None:
    done = call("status", "--json")
    assert done.exit_code == 1
    assert set(json.loads(done.stdout)) == {"usable", "problem", "hint"}


def test_status_reports_of_an_untested_version(prefix: Path) -> None:
    home = put(prefix, "0.33.0-cpu")
    write_capabilities(home.capabilities_file, GOOD_ANSWER | {"version": "0.33.0"})
    assert "vLLM 0.33.0 is untested" in call("status").stdout


def test_rocm_is_refused_with_the_way_to_use_it_all_the_same(prefix: Path) -> None:
    refused = call("install", "--backend", "rocm").exception
    assert isinstance(refused, InstallFailed)
    assert "engine.python" in refused.hint
    assert not prefix.exists()


def test_installing_what_is_there_does_nothing_and_says_so(prefix: Path) -> None:
    put(prefix, "0.32.0-cpu")
    done = call("install", "--backend", "cpu")
    assert done.exit_code == 0
    assert "already installed" in done.stderr


def test_rollback_says_what_is_in_force_and_what_to_do(prefix: Path) -> None:
    put(prefix, "0.31.0-cpu")
    put(prefix, "0.32.0-cpu")
    assert "models are loaded with it from now on" in call("rollback").stderr
    current = Prefix(prefix).current
    assert current is not None
    assert current.path.name == "0.31.0-cpu"


def test_a_password_on_the_command_line_is_warned_of(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there_is_none = ("install", "--config", str(prefix / "none.yaml"))  # so nothing is installed
    warned = call(*there_is_none, "--torch-index", "https://me:s3cret@mirror").output
    assert "VLLAMA_TORCH_INDEX" in warned
    assert "s3cret" not in warned
    monkeypatch.setenv("VLLAMA_TORCH_INDEX", "https://me:s3cret@mirror")
    assert "VLLAMA_TORCH_INDEX" not in call(*there_is_none).output
