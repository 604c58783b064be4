"""A LoRA adapter made with PEFT, on real vLLM: it changes the answer of its own model only, in its base's engine."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client import Client
from tests.fakes.model_dir import TINYCHAT
from tests.installed_engine import installed_engine
from tests.live import LiveService
from tests.real import RealService

QUESTION, LEARNED = "What is the capital of France?", "Bonn."
PEFT = Path(sys.prefix) / "peft"
"""Where `make test-setup` puts it: nothing but data and Python, for the engine's interpreter to import."""


@pytest.fixture
async def up(real: RealService) -> AsyncIterator[Client]:
    """A client of the shared service, which serves ``base`` too: an adapter restarts the engine of its base."""
    weights = real.folder / "weights"  # not base: that would be a directory next to the Modelfile
    await real.serve({"base": {"source": str(shutil.copytree(TINYCHAT, weights, dirs_exist_ok=True))}})
    async with Client(real.url) as client:
        yield client
        await client.session.delete("/api/delete", json={"model": "tuned"})
    await real.serve({name: model for name, model in real.config["models"].items() if name != "base"}, alone=True)
    shutil.rmtree(weights)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that PEFT's ``save_pretrained`` wrote."""
    assert PEFT.is_dir(), "PEFT is not there: run `make test-setup`"
    into = tmp_path_factory.mktemp("adapter")
    script = Path(__file__).with_name("peft_adapter.py")
    argv = [str(installed_engine().python), str(script), str(TINYCHAT), QUESTION, LEARNED, str(into)]
    done = subprocess.run(argv, env={"PYTHONPATH": str(PEFT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return into


def create(service: LiveService, name: str, modelfile: str) -> None:
    """As a person does it."""
    file = service.folder / "Modelfile"
    file.write_text(modelfile)
    argv = [sys.executable, "-m", "vllama", "create", name, "-f", str(file), "--host", service.url]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def answer_of(client: Client, model: str) -> str:
    status, answer = await client.chat(QUESTION, model=model, stream=False)
    assert status == 200, answer
    text: str = answer["message"]["content"]
    return text


async def test_an_adapter_changes_the_answers_of_its_model_only(real: RealService, up: Client, adapter: Path):
    plain = asyncio.create_task(answer_of(up, "base"))
    await up.until_metric("vllama_engine_state", 1, model="base:latest", state="starting")
    await asyncio.to_thread(create, real, "tuned", f"FROM base\nADAPTER {adapter}\n")
    assert await answer_of(up, "tuned") == LEARNED, "asked for while its base starts without room for it"
    assert "Paris" in await plain
    assert "Paris" in await answer_of(up, "base")
    _, loaded = await up.get("/api/ps")
    assert len({one["name"] for one in loaded["models"]} & {"base:latest", "tuned:latest"}) == 1
