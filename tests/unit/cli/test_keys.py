from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vllama.cli.keys import command
from vllama.errors import BadRequest


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vllama.yaml"
    path.write_text(f"server: {{keys_file: {tmp_path / 'keys'}}}\n")
    return path


def run(*arguments: str | Path):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=True)


def test_a_name_is_given_once(config: Path):
    assert run("add", "bob", "--config", config).output.startswith("vllama-")
    again = run("add", " bob ", "--config", config)
    assert isinstance(again.exception, BadRequest)
    assert again.exception.message == "there is already a key called 'bob'"
    assert "vllama keys revoke bob" in again.exception.hint
    assert run("list", "--config", config).output.count("bob") == 1


def test_a_name_that_was_revoked_is_free_again(config: Path):
    run("add", "bob", "--config", config)
    assert run("revoke", "bob", "--config", config).output == "revoked 1 key\n"
    assert run("add", "bob", "--config", config).exit_code == 0


def test_keys_are_listed_as_json_without_what_they_open(config: Path):
    secret = run("add", "bob", "--scope", "manage", "--config", config).output.strip()
    listed = run("list", "--json", "--config", config).output
    (key,) = json.loads(listed)["keys"]
    assert (key["name"], key["scope"], set(key)) == ("bob", "manage", {"id", "scope", "created", "name"})
    assert secret not in listed
