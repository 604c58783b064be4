"""The token of the Hugging Face hub is nowhere that an engine could read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import LiveService

TOKEN = "hf_s3cret"


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_no_process_of_the_service_shows_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    models = {"tinychat": {"source": str(scripted(tmp_path, "tinychat"))}}
    engine = {"python": str(interpreter.write(tmp_path))}
    async with LiveService(tmp_path, {"engine": engine, "models": models}) as service:
        status, _ = await service.chat("hello", model="tinychat")
        assert status == 200
        pids = [service.pid, *(process.pid for process in service.family())]
        shown = {pid: environment(pid) for pid in pids}
    assert len(shown) > 1
    assert [pid for pid, environ in shown.items() if TOKEN.encode() in environ] == []
    assert TOKEN not in service.log
