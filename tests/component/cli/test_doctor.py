"""``vllama doctor`` on this machine, with directories and a port of its own."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.component.cli.conftest import Vllama
from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.fakes.service import Service
from tests.live import LiveService


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    return {
        "VLLAMA_CONFIG": str(tmp_path / "vllama.yaml"),
        "VLLAMA_STATE_DIR": str(tmp_path / "state"),
        "VLLAMA_CACHE_DIR": str(tmp_path / "cache"),
        "VLLAMA_RUNTIME_DIR": str(tmp_path / "run"),
        "VLLAMA_ENGINE_PREFIX": str(tmp_path / "engine"),
        "VLLAMA_HOST": "127.0.0.1:0",
    }


def report(vllama: Vllama, **place: str) -> dict[str, dict[str, str]]:
    done = vllama("doctor", "--json", **place)
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["healthy"] else 1)
    assert done.stderr == ""
    return {finding["name"]: finding for finding in answer["findings"]}


def test_a_missing_engine_is_reported_with_the_command_that_installs_it(
    vllama: Vllama, place: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "vllama.yaml").write_text("models:\n  tiny: {source: 'builtin:tinychat'}\n")
    reported = report(vllama, **place)
    assert reported["engine"]["state"] == "bad"
    assert f"vllama engine install --prefix {tmp_path / 'engine'}" in reported["engine"]["fix"]
    assert reported["config"]["text"] == str(tmp_path / "vllama.yaml")
    assert reported["model"]["text"].startswith("tiny, 3.")
    assert reported["port"]["state"] == "good"
    assert {reported[name]["state"] for name in ("python", "models directory", "runtime directory")} == {"good"}
    assert not (tmp_path / "state").exists(), "the doctor changes nothing"


def test_a_wrong_configuration_hides_nothing_else(vllama: Vllama, place: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "vllama.yaml").write_text("server:\n  prot: 1\n")
    reported = report(vllama, **{**place, "VLLAMA_HOST": ""})
    assert "did you mean 'port'" in reported["config"]["text"]
    assert {"engine", "memory", "port"} <= reported.keys()


def test_a_broken_model_is_reported(vllama: Vllama, place: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "vllama.yaml").write_text(f"models:\n  mine: {{source: '{tmp_path / 'empty'}'}}\n")
    reported = report(vllama, **place)
    assert reported["model"]["state"] == "bad"
    assert reported["model"]["text"].startswith("mine: ")


def test_ollama_on_the_port_is_recognised(
    vllama: Vllama, service: Service, place: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "vllama.yaml").write_text("")
    reported = report(vllama, **{**place, "VLLAMA_HOST": service.host})
    assert reported["port"]["state"] == "bad"
    assert service.host in reported["port"]["text"]


def test_our_own_service_on_the_port_is_good(
    vllama: Vllama, service: Service, place: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "vllama.yaml").write_text("")
    service.fixed["/metrics"] = (200, {})
    reported = report(vllama, **{**place, "VLLAMA_HOST": service.host})
    assert (reported["port"]["state"], reported["port"]["text"]) == ("good", f"{service.host}: vLLama is running")


def test_another_program_on_the_port_is_named(vllama: Vllama, place: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "vllama.yaml").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        taken.settimeout(30)
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        reported = report(vllama, **{**place, "VLLAMA_HOST": where})
    assert reported["port"]["state"] == "bad"
    assert "is in use by" in reported["port"]["text"]


def test_gcc_without_its_cxx_compiler_is_not_enough_on_a_cpu(
    vllama: Vllama, place: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "vllama.yaml").write_text("")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("gcc", "apt-get"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    told = report(vllama, **place, PATH=str(programs))["compiler"]
    assert (told["state"], told["fix"]) == ("warning", "sudo apt install g++")


def test_people_read_marks_and_cures(vllama: Vllama, place: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "vllama.yaml").write_text("")
    done = vllama("doctor", **place)
    assert done.returncode == 1
    assert "✓ python" in done.stdout
    assert "✗ engine" in done.stdout


async def test_the_places_of_a_running_service_are_looked_at(vllama: Vllama, folder: Path) -> None:
    """As after `make run`, whose directories are none of the user's or the system's."""
    models = {"tinychat": {"source": str(scripted(folder, "tinychat"))}}
    engine = {"python": str(interpreter.write(folder))}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = {"port": free.getsockname()[1]}
    async with LiveService(folder, {"engine": engine, "models": models, "server": server}) as service:
        reported = report(vllama, VLLAMA_HOST=service.url)
    assert reported["config"]["text"] == str(folder / "vllama.yaml")
    assert reported["models directory"]["text"].startswith(f"{folder / 'state'}: ")
    assert str(folder / "python") in reported["engine"]["text"]
    assert reported["port"]["text"].endswith("vLLama is running")


def test_an_ipv6_address_is_looked_at_as_a_url_has_it(vllama: Vllama, place: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "vllama.yaml"
    config.write_text('server: {host: "::1", port: 0}\n')
    reported = report(vllama, **{**place, "VLLAMA_CONFIG": str(config), "VLLAMA_HOST": ""})
    assert "[::1]:0" in reported["port"]["text"]
