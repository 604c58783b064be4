"""A service that was started without an engine, and the engine that is installed while it runs."""

from __future__ import annotations

from pathlib import Path

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import LiveService
from vllama.install.capabilities import ask, write_capabilities
from vllama.install.prefix import Prefix


def without_engine(folder: Path, **more: object) -> LiveService:
    models = {"tinychat": {"source": str(scripted(folder, "tinychat"))}}
    return LiveService(folder, {"engine": {"prefix": str(folder / "engine")}, "models": models, **more})


def install(prefix: Path) -> None:
    """What `vllama engine install` leaves behind, with a fake vLLM in it."""
    prefix.mkdir()
    home = Prefix(prefix).new_home("0.32.0", "cpu")
    home.python.parent.mkdir(parents=True)
    interpreter.write(home.python.parent)
    write_capabilities(home.capabilities_file, ask(home.python))
    Prefix(prefix).publish(home)


async def test_the_next_request_finds_an_engine_that_was_installed_while_it_ran(folder: Path):
    async with without_engine(folder) as up:
        status, answer = await up.chat("count to 3", stream=False)
        assert status == 503
        assert answer["error"].endswith("Install it on the server: vllama engine install")
        install(folder / "engine")
        status, answer = await up.chat("count to 3", stream=False)
        assert (status, answer["message"]["content"]) == (200, "1, 2, 3")


async def test_what_should_be_preloaded_is_loaded_once_the_engine_is_installed(folder: Path):
    async with without_engine(folder, preload=["tinychat"]) as up:
        assert (await up.get("/api/ps"))[1]["models"] == []
        install(folder / "engine")
        await up.until_metric("vllama_engine_state", 1, within=30, model="tinychat:latest", state="ready")
