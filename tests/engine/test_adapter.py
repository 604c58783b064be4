"""A LoRA adapter on real vLLM: it changes the answer of its own model and of no other, in one engine."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.client import Client
from tests.engine.conftest import start
from tests.live import LiveService

RANK, HIDDEN, HEADS = 8, 160, 5 * 64
"""Of tinychat's query projection."""


@pytest.fixture
def service() -> Iterator[LiveService]:
    """Of our own: an adapter makes the base's engine start anew."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))
    made = start(folder)
    yield made
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def up(service: LiveService) -> AsyncIterator[Client]:
    async with Client(service.url) as client:
        yield client


def adapter() -> dict[str, bytes]:
    """A directory as PEFT saves it, with noise for weights: any change of the answer will do."""
    noise = random.Random(7)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for layer in range(5):
        for part, shape in (("A", (RANK, HIDDEN)), ("B", (HEADS, RANK))):
            numbers = [noise.gauss(0, 1) for _ in range(shape[0] * shape[1])]
            name = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{part}.weight"
            begin = len(data)
            data += struct.pack(f"<{len(numbers)}f", *numbers)
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 32, "target_modules": ["q_proj"], "bias": "none"}
    return {
        "adapter_config.json": json.dumps(config).encode(),
        "adapter_model.safetensors": struct.pack("<Q", len(text)) + text + data,
    }


async def answer_of(client: Client, model: str) -> str:
    status, answer = await client.chat("What is the capital of France?", model=model, stream=False)
    assert status == 200, answer
    text: str = answer["message"]["content"]
    return text


async def test_an_adapter_changes_the_answers_of_its_model_only(up: Client) -> None:
    plain = await answer_of(up, "tinychat")
    files = {}
    for name, data in adapter().items():
        files[name] = f"sha256:{hashlib.sha256(data).hexdigest()}"
        async with up.session.post(f"/api/blobs/{files[name]}", data=data) as answer:
            assert answer.status == 201
    status, lines = await up.post("/api/create", {"model": "tuned", "from": "tinychat", "adapters": files})
    assert (status, lines[-1]) == (200, {"status": "success"})
    assert await answer_of(up, "tuned") != plain
    assert await answer_of(up, "tinychat") == plain
    _, loaded = await up.get("/api/ps")
    assert len(loaded["models"]) == 1
