"""No answer ever holds a path of the server's disk: every route is asked, and everything that can fail does."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import interpreter
from tests.fakes.hub import Hub, running
from tests.fakes.model_dir import TINYCHAT, scripted
from tests.live import LiveService
from tests.unit.models.model_files import make_model, safetensors

ABSOLUTE = re.compile(r"(?<![\w./<:])/(?!api/|v1/|vllama/)[\w.@-]+/[^\s\"']+")
"""What anybody would take for a path of a disk; our own routes are none."""
BROKEN: dict[str, dict[str, Any]] = {
    "no-json": {"config__json": b"{"},
    "no-config": {"config__json": None},
    "no-weights": {"model__safetensors": None},
    "cut": {"model__safetensors": safetensors({"w": ("BF16", (10, 10))})[:-9]},
    "no-tokenizer": {"tokenizer__json": None},
    "pointer": {"tokenizer__json": b"version https://git-lfs.github.com/spec/v1\n"},
    "shard": {"model.safetensors.index.json": {"weight_map": {"w": "a.safetensors"}}},
    "outside": {"model.safetensors.index.json": {"weight_map": {"w": "/etc/hostname"}}},
    "mlx": {"config__json": {"architectures": ["Qwen3ForCausalLM"], "quantization": {"group_size": 64, "bits": 4}}},
    "whisper": {"config__json": {"architectures": ["WhisperForConditionalGeneration"]}},
    "template": {"chat_template.jinja": b"\xff"},
}
STARTS = (
    *("no_config", "no_weights", "truncated_weights", "architecture", "model_type", "no_tokenizer", "quantization"),
    *("gated", "tool_parser", "reasoning_parser", "shapes", "no_device", "port", "hub_unreachable"),
)


def asked(name: str) -> list[tuple[str, str, Any]]:
    """Every route that takes a model."""
    chat = {"model": name, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    return [
        ("POST", "/api/chat", chat),
        ("POST", "/api/chat", {**chat, "stream": False}),
        ("POST", "/api/generate", {"model": name, "prompt": "hi"}),
        ("POST", "/api/embed", {"model": name, "input": "hi"}),
        ("POST", "/api/embeddings", {"model": name, "prompt": "hi"}),
        ("POST", "/api/show", {"model": name}),
        ("POST", "/api/show", {"model": name, "verbose": True}),
        ("POST", "/api/pull", {"model": name}),
        ("POST", "/api/push", {"model": name}),
        ("POST", "/api/copy", {"source": name, "destination": f"{name}-copy"}),
        ("POST", "/api/create", {"model": f"{name}-made", "from": name, "system": "x"}),
        ("POST", "/api/create", {"model": name, "from": "tinychat", "system": "x"}),
        ("POST", "/v1/chat/completions", chat),
        ("POST", "/v1/completions", {"model": name, "prompt": "hi"}),
        ("POST", "/v1/embeddings", {"model": name, "input": "hi"}),
        ("POST", "/v1/responses", {"model": name, "input": "hi"}),
        ("POST", "/v1/messages", chat),
        ("POST", "/v1/messages/count_tokens", chat),
        ("GET", f"/v1/models/{name}", None),
        ("DELETE", "/api/delete", {"model": name}),
    ]


PLAIN = [
    ("GET", path, None) for path in ("/", "/api/tags", "/api/ps", "/v1/models", "/vllama/engines", "/metrics", "/x")
]


async def texts(up: LiveService, method: str, path: str, body: Any) -> str:
    """Everything that a client reads: body and headers."""
    async with up.session.request(method, path, json=body) as answer:
        return f"{dict(answer.headers)}\n{await answer.text()}"


class Sweep:
    """Asks, and keeps the answers that hold a path."""

    def __init__(self, up: LiveService, *private: Path) -> None:
        self._up, self._private = up, tuple(map(str, private))
        self.leaks: list[str] = []
        self.answers = 0

    async def ask(self, *requests: tuple[str, str, Any]) -> None:
        for method, path, body in requests:
            said = await texts(self._up, method, path, body)
            self.answers += 1
            if ABSOLUTE.search(said) or any(place in said for place in self._private):
                self.leaks.append(f"{method} {path} {json.dumps(body)[:200]}\n    {said[:600]}")


@pytest.fixture
def folder_of_all(folder: Path) -> dict[str, Path]:
    """Every broken model, a gone one, one that nobody may read."""
    made = {name: make_model(folder / "models" / name, **contents) for name, contents in BROKEN.items()}
    (folder / "models" / "plain").write_text("a file")
    return {**made, "gone": folder / "models" / "gone", "plain": folder / "models" / "plain"}


async def test_no_answer_reveals_where_anything_lies_on_the_server(folder: Path, folder_of_all: dict[str, Path]):
    models = {name: {"source": str(place)} for name, place in folder_of_all.items()}
    for failure in STARTS:
        models[failure.replace("_", "-")] = {"source": str(scripted(folder, failure, start_failure=failure))}
    models["tinychat"] = {"source": str(scripted(folder, "tinychat"))}
    models["far"] = {"source": "acme/far@refs/pr/3"}
    config = {
        "engine": {"python": str(interpreter.write(folder)), "restart_backoff": "50ms"},
        "models": models,
    }
    async with LiveService(folder, config) as up:
        sweep = Sweep(up, folder)
        for name in [*folder_of_all, *(failure.replace("_", "-") for failure in STARTS), "tinychat", "nobody"]:
            await sweep.ask(*asked(name), *PLAIN)
        await sweep.ask(("POST", "/api/show", {"model": "tinychat", "verbose": True}))
    assert sweep.answers > 500
    assert not sweep.leaks, "\n".join(sweep.leaks[:10])


async def test_nor_does_the_failure_of_a_download_or_of_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch):
    contents = {file.name: file.read_bytes() for file in TINYCHAT.iterdir()}
    with running(Hub("acme/mini", contents, damaged={"model.safetensors"})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        async with LiveService(folder, {"engine": {"prefix": str(folder / "engine")}}) as up:
            sweep = Sweep(up, folder)
            names = ("acme/mini", "acme/none", "acme/mini@v9", "acme/mini:Q4_K_M", "acme/mini@../x", "tinychat")
            await sweep.ask(*(("POST", "/api/pull", {"model": name}) for name in names))
            hub.damaged.clear()
            hub.claimed = {"model.safetensors": 1 << 60}
            await sweep.ask(("POST", "/api/pull", {"model": "acme/mini"}))  # no disk has that room
            hub.claimed = {}
            digest = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
            state = folder / "state"
            for place in (state / "models", state / "blobs", state / "manifests"):
                if place.is_dir():
                    place.rename(place.with_name(f"{place.name}-away"))
                place.write_text("in the way")
            await sweep.ask(
                ("POST", "/api/pull", {"model": "acme/mini"}),
                ("POST", "/api/create", {"model": "x", "files": {"/etc/hostname": digest}}),
                ("POST", "/api/create", {"model": "x", "files": {"config.json": digest, "a.safetensors": digest}}),
                ("POST", "/api/copy", {"source": "tinychat", "destination": "twin"}),
                ("POST", f"/api/blobs/{digest}", {}),
                ("HEAD", f"/api/blobs/{digest}", None),
                ("POST", "/api/chat", {"model": "tinychat", "messages": [{"role": "user", "content": "hi"}]}),
            )
    leaks = [leak for leak in sweep.leaks if "must be relative: /etc/hostname" not in leak]  # the client's own word
    assert not leaks, "\n".join(leaks)


async def test_nor_does_an_interpreter_that_is_not_there(folder: Path):
    config = {
        "engine": {"python": str(folder / "no" / "python")},
        "models": {"tinychat": {"source": "builtin:tinychat"}},
    }
    async with LiveService(folder, config) as up:
        sweep = Sweep(up, folder)
        await sweep.ask(*asked("tinychat"), *PLAIN)
        assert str(folder / "no" / "python") in up.log  # the log says where
    assert not sweep.leaks, "\n".join(sweep.leaks)


async def test_nor_does_a_file_that_would_never_be_read(folder: Path):
    models = {"waits": {"source": str(folder / "waits")}, "tinychat": {"source": "builtin:tinychat"}}
    make_model(folder / "waits", config__json=None)
    os.mkfifo(folder / "waits" / "config.json")  # to read it would wait for ever
    config = {"engine": {"python": str(interpreter.write(folder))}, "models": models}
    async with LiveService(folder, config) as up:
        sweep = Sweep(up, folder)
        await sweep.ask(*asked("waits"))
    assert not sweep.leaks, "\n".join(sweep.leaks)
