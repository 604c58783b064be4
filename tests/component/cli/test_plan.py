"""``vllama plan``: sums in people's words, for this machine and for others, with and without a service."""

from __future__ import annotations

import json
import re
import shutil
import struct
from pathlib import Path

import pytest

from tests.component.cli.conftest import ROOT, Vllama
from tests.fakes.hub import Hub, running
from tests.fakes.service import Service
from vllama.fit.gpu import detect

TINYCHAT = ROOT / "vllama" / "models" / "builtin" / "tinychat"
NOBODY = "127.0.0.1:1"


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """A directory that looks like an 8B model; its weights are a hole in a file."""
    folder = tmp_path / "llama-8b"
    folder.mkdir()
    shutil.copy(TINYCHAT / "tokenizer.json", folder)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "vocab_size": 128256,
    }
    (folder / "config.json").write_text(json.dumps(config))
    size = 16_060_522_496
    tensor = {"model.weight": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}}
    header = json.dumps(tensor).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    return folder


def test_it_needs_no_service_and_no_engine(vllama: Vllama) -> None:
    done = vllama("plan", "tinychat", VLLAMA_HOST=NOBODY)
    assert done.returncode == 0, done.stderr
    first, total, parts, *_ = done.stdout.splitlines()
    assert first.startswith("tinychat:latest on ")
    assert "chats at once with 2k context" in total
    weights, cache = ("3.5", "0.2") if detect().bf16 else ("7.1", "0.3")  # float32 on CPUs without AVX-512
    assert parts.startswith(f"  weights {weights} MiB, KV cache {cache} GiB, working memory ")
    assert re.search(rf"^kv_cache_memory +{re.escape(cache)} GiB ", done.stdout, re.MULTILINE)


def test_a_directory_for_a_gpu_that_is_not_here(vllama: Vllama, llama: Path) -> None:
    done = vllama("plan", str(llama), "--gpu", "24G", VLLAMA_HOST=NOBODY)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "llama-8b:latest on GPU 0"
    assert lines[1] == "  21.6 of 21.6 GiB: about 5 chats at once with 8k context"
    assert any(line.startswith("max_model_len ") and line.endswith("shipped profile medium") for line in lines)
    assert any(line.startswith("8-bit weights (FP8)") for line in lines)


def test_everything_as_json(vllama: Vllama, llama: Path) -> None:
    done = vllama("plan", str(llama), "--gpu", "2x80G", "--json", VLLAMA_HOST=NOBODY)
    found = json.loads(done.stdout)
    assert found["fits"] is True
    assert found["kv_bytes_per_token"] == 128 * 1024
    assert found["need"]["weights"] == 16_060_522_496
    assert found["settings"]["max_model_len"] == found["context"] == 8192
    assert found["place"]["gpus"] == [0]
    assert {"change", "sum", "need", "context", "requests"} <= found["alternatives"][0].keys()
    assert found["loads"].startswith("the first load compiles")


def test_what_the_first_and_the_next_load_do(vllama: Vllama, llama: Path, tmp_path: Path) -> None:
    config = tmp_path / "vllama.yaml"
    for mode, said in (
        ("auto", "the first load is eager"),
        ("always", "the first load compiles"),
        ("never", "eagerly"),
    ):
        model = {"source": "builtin:tinychat", "settings": {"eager_below": 1}}
        config.write_text(json.dumps({"engine": {"compile": mode}, "models": {"tinychat": model}}))
        done = vllama("plan", "tinychat", "--config", str(config), VLLAMA_HOST=NOBODY)
        assert said in done.stdout, done.stdout + done.stderr


def test_too_big_is_refused_with_the_sum_and_with_what_would_fit(vllama: Vllama, llama: Path) -> None:
    done = vllama("plan", str(llama), "--gpu", "16G", VLLAMA_HOST=NOBODY)
    assert done.returncode == 1
    assert "model requires more GPU memory (17." in done.stderr
    assert "than is available (14.4 GiB)" in done.stderr
    assert "4-bit weights (AWQ, GPTQ) (" in done.stderr
    assert "2 such GPUs (" in done.stderr
    done = vllama("plan", str(llama), "--gpu", "16G", "--json", VLLAMA_HOST=NOBODY)
    assert done.returncode == 1
    assert json.loads(done.stdout)["fits"] is False


def test_memory_that_the_service_would_free_is_reported(vllama: Vllama, service: Service) -> None:
    loaded = [{"name": "other", "size": 1 << 50, "size_vram": 0}]
    service.fixed["/api/ps"] = (200, {"models": loaded})
    found = json.loads(vllama("plan", "tinychat", "--json").stdout)
    assert found["place"]["reachable"] > found["place"]["free"]


def test_a_repository_that_was_not_pulled(vllama: Vllama, tmp_path: Path) -> None:
    contents = {file.name: file.read_bytes() for file in TINYCHAT.iterdir()}
    with running(Hub("acme/mini", contents)) as hub:
        done = vllama("plan", "acme/mini", "--json", VLLAMA_HOST=NOBODY, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["model"], found["context"], found["kv_bytes_per_token"]) == ("acme/mini:latest", 2048, 1280)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "nosuch"), "model 'nosuch' not found"),
        (("plan", "tinychat", "--gpu", "big"), "'big' is not a valid GPU memory size"),
        (("plan", "/nowhere/at/all"), "/nowhere/at/all"),
    ],
)
def test_what_is_wrong_is_reported(vllama: Vllama, arguments: tuple[str, ...], words: str) -> None:
    done = vllama(*arguments, VLLAMA_HOST=NOBODY)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
