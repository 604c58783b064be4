from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vllama.cli.config import command
from vllama.config.jsonschema import schema_text
from vllama.errors import ConfigError


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "vllama.yaml"
    path.write_text("server: {prot: 1}\nkeep_alive: soon\n")
    return path


def run(*arguments: str | Path, environ: dict[str, str] | None = None):
    # click hides exceptions that main() would tell: let them through
    return CliRunner(env={"VLLAMA_CONFIG": None, **(environ or {})}).invoke(
        command, [str(argument) for argument in arguments], catch_exceptions=True
    )


def test_check_of_a_valid_file(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text("keep_alive: 1h\n")
    assert run("check", path).output == f"{path} is valid\n"
    assert json.loads(run("check", path, "--json").output) == {"valid": True, "file": str(path), "problems": []}


def test_check_of_a_wrong_file_tells_everything_and_ends_with_78(wrong: Path):
    found = run("check", wrong, "--json")
    assert found.exit_code == 78
    answer = json.loads(found.output)
    assert answer["valid"] is False
    assert [problem.removeprefix(f"{wrong}:") for problem in answer["problems"]] == [
        "1: server.prot: unknown key (did you mean 'port'?)",
        "2: keep_alive: must be a duration such as 30s, 5m or 1h30m, not 'soon'",
    ]
    # without --json main() prints the error and ends with 78
    assert isinstance(run("check", wrong).exception, ConfigError)


def test_show_says_where_values_come_from(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text("keep_alive: 1h\n")
    lines = run("show", "--config", path, "--origin", environ={"OLLAMA_HOST": "0.0.0.0"}).output.splitlines()
    assert f"keep_alive: 1h  # {path}:1" in lines
    assert "  host: 0.0.0.0  # environment OLLAMA_HOST" in lines
    assert "  access: false  # default" in lines
    answer = json.loads(run("show", "--config", path, "--json").output)
    assert answer["values"]["keep_alive"] == "1h"
    assert answer["origins"]["keep_alive"] == f"{path}:1"


def test_schema_prints_the_schema():
    assert run("schema").output == schema_text()
