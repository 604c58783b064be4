"""``vllama launch``: the settings of each agent, and the agent as a process that gets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes.service import SHOW, Service, serving
from vllama.cli.agents import AGENTS, Use
from vllama.cli.launch import command
from vllama.errors import BadRequest, NotFound

ROOT = Path(__file__).parents[3]
LOADED = {"name": "mini:latest", "context_length": 8192}


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        running.fixed["/api/ps"] = (200, {"models": [LOADED]})
        running.fixed["/api/tags"] = (200, {"models": [LOADED, {"name": "other:latest"}]})
        yield running


def launch(service: Service, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["--host", service.host, *arguments])


def test_settings_are_printed_for_a_shell(service: Service) -> None:
    done = launch(service, "claude")
    lines = done.stdout.splitlines()
    assert (done.exit_code, lines[0], lines[-1]) == (0, "unset ANTHROPIC_API_KEY", "claude")
    assert f"export ANTHROPIC_BASE_URL=http://{service.host}" in lines
    assert {line.partition("=")[2] for line in lines if "MODEL" in line} == {"mini"}


def test_codex_gets_its_provider_and_the_context_of_the_engine_as_arguments() -> None:
    setup = AGENTS["codex"](Use("http://h:1", 'a"b', "secret", 8192))
    config = tomllib.loads("\n".join(setup.arguments[1::2]))
    assert set(setup.arguments[::2]) == {"-c"}
    provider = {"name": "vLLama", "base_url": "http://h:1/v1", "wire_api": "responses", "env_key": "VLLAMA_KEY"}
    assert config["model_providers"]["vllama"] == provider
    assert (config["model"], config["model_provider"], config["model_context_window"]) == ('a"b', "vllama", 8192)
    assert setup.env == {"VLLAMA_KEY": "secret"}
    assert "model_context_window" not in str(AGENTS["codex"](Use("http://h:1", "a")).arguments)


def test_opencode_gets_its_configuration_in_a_variable_without_the_key() -> None:
    setup = AGENTS["opencode"](Use("http://h:1", "qwen3:8b", "secret", 8192))
    config = json.loads(setup.env["OPENCODE_CONFIG_CONTENT"])
    assert (config["model"], config["small_model"]) == ("vllama/qwen3:8b", "vllama/qwen3:8b")
    provider = config["provider"]["vllama"]
    assert provider["options"] == {"baseURL": "http://h:1/v1", "apiKey": "{env:VLLAMA_KEY}"}
    assert provider["models"]["qwen3:8b"]["limit"]["context"] == 8192


@pytest.mark.parametrize("agent", list(AGENTS))
def test_a_key_is_not_printed(agent: str) -> None:
    shown = "\n".join(AGENTS[agent](Use("http://h:1", "mini", "vllama-secret")).lines(secret="vllama-secret"))
    assert "vllama-secret" not in shown
    assert "=KEY" in shown


def test_with_several_models_one_must_be_named(service: Service) -> None:
    service.fixed["/api/ps"] = (200, {"models": []})
    error = launch(service, "claude").exception
    assert isinstance(error, BadRequest)
    assert "mini:latest, other:latest" in error.hint
    assert launch(service, "claude", "--model", "other").exit_code == 0


def test_a_model_that_calls_no_tools_is_a_warning(service: Service) -> None:
    assert launch(service, "claude").stderr == ""
    service.fixed["/api/show"] = (200, {**SHOW, "capabilities": ["completion"]})
    assert "can't call tools" in launch(service, "claude").stderr


def test_a_program_that_is_missing_is_named_before_anything_is_loaded(service: Service, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    error = launch(service, "claude", "--run").exception
    assert isinstance(error, NotFound)
    assert "claude is not installed" in error.detail
    assert "npm install" in error.hint
    assert service.bodies("/api/chat") == []


def test_the_agent_runs_here_with_its_settings_and_arguments(service: Service, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\npwd\necho "$ANTHROPIC_MODEL ${ANTHROPIC_API_KEY-unset} $HF_TOKEN $*"\n')
    program.chmod(0o755)
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    env |= {"ANTHROPIC_API_KEY": "sk-1", "HF_TOKEN": "hf", "VLLAMA_HOST": service.host}
    argv = [sys.executable, "-m", "vllama", "launch", "claude", "--run", "--", "-p", "two words"]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == [str(tmp_path), "mini unset hf -p two words"], done.stderr
    assert service.bodies("/api/chat")[0]["keep_alive"] == "1h"
