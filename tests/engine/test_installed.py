"""The engine that `make engine` installed is the one we mean to run."""

from __future__ import annotations

import subprocess

import pytest

from tests.installed_engine import engine_prefix, installed_engine
from vllama.install.capabilities import ask, shipped_registry
from vllama.install.engines import status
from vllama.install.versions import PINNED

pytestmark = pytest.mark.engine


def test_it_is_the_pinned_vllm_for_the_cpu_with_what_we_need_of_it() -> None:
    found = installed_engine()
    assert (found.version, found.backend) == (PINNED, "cpu")
    for flag in (
        "--uds",
        "--model",
        "--served-model-name",
        "--enable-per-request-metrics",
        "--logging-config.formatter",
    ):
        assert found.supports(flag), flag
    assert "hermes" in found.tool_parsers
    assert "qwen3" in found.reasoning_parsers


def test_it_has_none_of_the_cuda_packages_that_break_it() -> None:
    """torchvision and its like of the public index take ``import transformers`` down beside torch+cpu."""
    code = (
        "import transformers, importlib.util as u; print([n for n in ('torchvision', 'torchaudio') if u.find_spec(n)])"
    )
    python = str(installed_engine().python)
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout.strip() == "[]", done.stderr


def test_status_finds_it_usable() -> None:
    found = status(None, engine_prefix())
    assert found.usable, found.problem
    assert found.size is not None
    assert found.size > 10**9


def test_asked_again_it_answers_as_when_it_was_installed() -> None:
    """What was kept from an earlier installation says nothing about whether today's questions fit this vLLM."""
    found = installed_engine()
    answer = ask(found.python)
    assert (answer["version"], answer["backend"]) == (found.version, found.backend)
    assert set(answer["flags"]) == found.flags
    assert {*answer["models"]} == {*found.registry.models}


def test_what_it_knows_about_models_is_what_we_ship_for_the_time_before_it_is_installed() -> None:
    assert installed_engine().registry == shipped_registry()
