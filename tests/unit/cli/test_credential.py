"""The key that the command sends, and what it says when the service takes none or another one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes.service import Service, serving
from vllama.cli.credential import read_key
from vllama.cli.list_models import command
from vllama.cli.remote import Refused
from vllama.config.environment import shell
from vllama.errors import BadRequest

KEY = "vllama-Zm9vYmFy"


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        running.fixed["/api/tags"] = (200, {"models": []})
        yield running


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("VLLAMA_API_KEY", raising=False)
    shell.cache_clear()
    yield
    shell.cache_clear()


def key_file(folder: Path, text: str = f"{KEY}\n", mode: int = 0o600) -> Path:
    file = folder / "key"
    file.write_text(text)
    file.chmod(mode)
    return file


def listed(service: Service, *more: str | Path) -> Result:
    return CliRunner().invoke(command, ["--host", service.host, *map(str, more)])


def test_the_key_of_a_file_is_sent_before_the_variables(service: Service, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("VLLAMA_API_KEY", "other")
    done = listed(service, "--key-file", key_file(tmp_path))
    assert (done.exit_code, done.stderr) == (0, "")
    assert service.keys == [f"Bearer {KEY}"]


def test_without_a_file_the_variable_counts(service: Service, monkeypatch) -> None:
    monkeypatch.setenv("VLLAMA_API_KEY", KEY)
    listed(service)
    assert service.keys == [f"Bearer {KEY}"]


def test_a_file_that_others_can_read_is_a_warning(service: Service, tmp_path: Path) -> None:
    done = listed(service, "--key-file", key_file(tmp_path, mode=0o644))
    assert (done.exit_code, "chmod o-r" in done.stderr) == (0, True)


@pytest.mark.parametrize("text", ["", "two words", "k" * 5000, "schl\u00fcssel", "a\x00b"])
def test_a_file_without_a_key_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        read_key(key_file(tmp_path, text))


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="No such file"):
        read_key(tmp_path / "none")


def test_a_missing_key_and_an_unknown_one_are_told_apart(service: Service, tmp_path: Path) -> None:
    service.fixed["/api/tags"] = (401, {"error": "an API key is needed"})
    missing = listed(service).exception
    assert isinstance(missing, Refused)
    assert missing.detail.endswith("needs an API key")
    assert "--key-file" in missing.hint
    file = key_file(tmp_path)
    unknown = listed(service, "--key-file", file).exception
    assert isinstance(unknown, Refused)
    assert unknown.detail.endswith(f"does not know the API key of {file}")
    assert "revoked" in unknown.hint
    assert KEY not in json.dumps([unknown.detail, unknown.hint])
