"""What an engine compiled is used by the next one, and code that is damaged keeps none from starting."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import Client
from tests.engine.conftest import MODELS
from tests.installed_engine import engine_prefix, installed_engine
from tests.live import LiveService

_PACKAGES = "import importlib.util as u; print(u.find_spec('vllm').origin); print(u.find_spec('torch').origin)"
"""Where they are, without the seconds that it takes to import them."""


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    """tinychat is compiled here, with a cache of its own."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))
    settings = {**MODELS["tinychat"]["settings"], "enforce_eager": False}
    config = {
        "keep_alive": "forever",
        "engine": {"prefix": str(engine_prefix())},
        "models": {"tinychat": {**MODELS["tinychat"], "settings": settings}},
    }
    service = LiveService(folder, config)
    service.start()
    yield service
    service.stop()
    shutil.rmtree(folder)


@pytest.fixture
def code(service: LiveService) -> Path:
    (found,) = (service.folder / "cache").glob("compiled/*/vllm/torch_compile_cache/torch_aot_compile/*")
    return found


async def load(service: LiveService) -> tuple[str, str]:
    """Loads tinychat and unloads it; how it got its code, and the fault if there was one."""
    asked = {"model": "tinychat", "stream": False, "options": {"temperature": 0, "num_predict": 24}}
    async with Client(service.url) as up:
        status, answer = await up.post("/api/generate", {**asked, "prompt": "What is the capital of France?"})
        assert status == 200, service.log
        assert "Paris" in answer["response"]
        _, reported = await up.get("/vllama/engines")
        (engine,) = reported["engines"]
        await up.post("/api/generate", {"model": "tinychat", "keep_alive": 0})
    return engine.get("code_from", ""), engine.get("code_fault", "")


@pytest.mark.long
async def test_the_second_start_loads_what_the_first_one_compiled(service):
    assert await load(service) == ("compiled", "")
    assert await load(service) == ("loaded", "")
    assert "tinychat:latest: loading compiled code" in service.log
    assert "is not made" not in service.log  # each change of the plugin fits
    assert [*(service.folder / "cache").rglob("*.loaded")], "tried instructions are remembered"


@pytest.mark.long
@pytest.mark.parametrize("damage", ["cut off", "other bytes"])
async def test_damaged_code_is_compiled_again_once(service, code, damage):
    """Kernels too: a compiler takes what has the right name for whole."""
    files = [*code.rglob("*.so"), *code.glob("rank_*/model")]
    assert len(files) > 2
    for file in files:
        size = file.stat().st_size
        file.write_bytes(file.read_bytes()[: size // 2] if damage == "cut off" else b"\0" * size)
    outcome, _ = await load(service)
    assert outcome in {"again", "compiled"}  # compiled: it died of the damage, and was started once more
    assert await load(service) == ("loaded", "")


def test_vllm_still_needs_our_corrections():
    """Where this fails, vLLM or torch has mended itself: take the change out of the plugin."""
    done = subprocess.run(
        [str(installed_engine().python), "-I", "-c", _PACKAGES], capture_output=True, text=True, check=True
    )
    vllm, torch = (Path(line).parent for line in done.stdout.split()[-2:])
    decorators = (vllm / "compilation" / "decorators.py").read_text()
    types = (torch / "_dynamo" / "aot_compile_types.py").read_text()
    from vllama_engine import aot_loading, compile_news

    assert aot_loading.CALL in decorators
    assert "hasattr(loaded_fn._artifacts.compiled_fn" not in decorators
    assert "finalize_loading" not in types
    assert f"def {compile_news.LOADER}(" in decorators
