"""What the Tab key offers: names of models, of the catalogue and of keys."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from tests.fakes.service import Service, serving
from vllama.cli.main import cli
from vllama.config.environment import shell
from vllama.config.keys import make_key, write_keys
from vllama.models.catalog_names import completions

SCRIPT = Path(__file__).parents[3] / "packaging" / "completion.py"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as running:
        models = [{"name": "mini:latest"}, {"name": "mini:8b"}, {"name": "bad\x1b[2J"}, {"nameless": 1}, 7]
        running.fixed["/api/tags"] = (200, {"models": models})
        yield running


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    yield
    shell.cache_clear()


def offered(*words: str) -> list[str]:
    """What is offered for the last of the words."""
    *arguments, start = words
    return [one.value for one in ShellComplete(cli, {}, "vllama", "_C").get_completions(arguments, start)]


@pytest.mark.parametrize("verb", ["run", "show", "stop", "rm", "cp", "tune", "pull", "plan", "bench speed"])
def test_verbs_offer_the_models_of_the_service(verb: str, service: Service) -> None:
    assert offered(*verb.split(), "--host", service.host, "mi")[:2] == ["mini", "mini:8b"]


def test_bench_offers_its_verbs_and_models(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLAMA_HOST", service.host)
    shell.cache_clear()
    assert offered("bench", "m") == ["mini", "mini:8b"]
    assert offered("bench", "pre") == ["prefix"]
    assert offered("bench", "mini", "--ro") == ["--rounds", "--route"]


@pytest.mark.parametrize("verb", ["pull", "plan", "serve"])
def test_verbs_that_fetch_offer_the_catalogue(verb: str) -> None:
    assert "qwen3:0.6b" in offered(verb, "--host", "127.0.0.1:1", "qwen3:")


def test_a_second_name_of_cp_is_for_the_person_to_find(service: Service) -> None:
    assert offered("cp", "--host", service.host, "mini", "mi") == []


def test_families_come_without_tags_until_one_is_left() -> None:
    assert {"qwen3", "qwen3:0.6b"} <= {*completions("qwen3")}
    assert all(":" not in name for name in completions("q"))
    assert all(name.startswith("qwen3:") for name in completions("qwen3:"))
    assert list(completions("no-such-family")) == []


@pytest.mark.parametrize("host", ["127.0.0.1:1", "not an address", "http://[::1"])
def test_no_service_is_no_error(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert offered("run", "--host", host, "mi") == []
    assert capsys.readouterr() == ("", "")


def test_a_service_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert offered("run", "--host", f"127.0.0.1:{silent.getsockname()[1]}", "mi") == []
        assert time.monotonic() - began < 5


def test_revoke_offers_keys_by_name_or_by_id_where_the_name_has_blanks(tmp_path: Path) -> None:
    config = tmp_path / "vllama.yaml"
    config.write_text(f"server: {{keys_file: {tmp_path / 'keys'}}}\n")
    keys = [make_key(name, "use", "2026-11-30")[0] for name in ("laptop", "two words")]
    write_keys(tmp_path / "keys", keys)
    assert offered("keys", "revoke", "--config", str(config), "") == ["laptop", keys[1].id]
    config.write_text("server: {prot: 1}\n")
    assert offered("keys", "revoke", "--config", str(config), "") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("(vllama run qwen3 : 0)", "0.6b"),
        ("(vllama run qwen3 :)", "0.6b"),
        ("(vllama run qw)", "qwen3:0.6b"),
        ("(vllama run '')", "qwen3:0.6b"),
    ],
)
def test_bash_completes_names_with_a_colon(words: str, expected: str, tmp_path: Path) -> None:
    asked = tmp_path / "vllama"
    asked.write_text('#!/bin/sh\nprintf "%s" "$COMP_WORDS" | tail -n +$((COMP_CWORD + 1)) > "$0.word"\n')
    asked.write_text(asked.read_text() + "echo plain,qwen3:0.6b\n")
    asked.chmod(asked.stat().st_mode | stat.S_IXUSR)
    script = subprocess.run([sys.executable, SCRIPT, "bash"], capture_output=True, text=True, check=True).stdout
    ask = f"COMP_WORDS={words}; COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); _vllama_completion {asked}"
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}; echo ${{COMPREPLY[@]}}"], capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == (expected, "")
    typed = words.removeprefix("(vllama run ").removesuffix(")").replace(" ", "").strip("'")
    assert Path(f"{asked}.word").read_text() == typed
