"""The official JavaScript client on a real Node.js: ``js/client.mjs`` uses it, here its answers are looked at."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.wording import Wording

JS = Path(__file__).parent / "js"


@pytest.fixture(scope="module")
def got(base_url: str, wording: Wording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client got, by call."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.fail("the JavaScript client's tests need Node.js: apt install nodejs npm, or dnf install nodejs npm")
    folder = tmp_path_factory.mktemp("js")
    for file in JS.iterdir():
        shutil.copy(file, folder)
    subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True, timeout=240)
    ran = subprocess.run(
        [node, "client.mjs", base_url, wording.weather],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answers: dict[str, Any] = json.loads(ran.stdout)
    return answers


def test_chat(got):
    assert "5" in got["chat"]["message"]["content"]
    assert (got["chat"]["done"], got["chat"]["done_reason"]) == (True, "stop")


def test_a_stream_says_the_same_and_ends_once(got):
    parts = got["streamed"]
    assert "".join(part["message"]["content"] for part in parts) == got["chat"]["message"]["content"]
    assert [part["done"] for part in parts] == [False] * (len(parts) - 1) + [True]


def test_thinking_comes_apart(got):
    message = got["thinking"]["message"]
    assert message["thinking"]
    assert "think>" not in message["content"]


def test_generate(got):
    assert "5" in got["generate"]["response"]
    assert got["generate"]["context"]


def test_tools(got):
    (call,) = (call for part in got["tools"] for call in part["message"].get("tool_calls", ()))
    assert call["function"]["name"] == "get_weather"
    assert call["function"]["arguments"] == {"city": "Paris"}


def test_structured_output(got):
    assert "country" in json.loads(got["structured"]["message"]["content"])


def test_embed(got):
    assert [len(vector) for vector in got["embed"]["embeddings"]] == [384, 384]


def test_list_show_and_ps(got):
    assert {"tinychat:latest", "minilm:latest"} <= {model["name"] for model in got["list"]["models"]}
    assert "completion" in got["show"]["capabilities"]
    assert got["show"]["model_info"]["general.architecture"] == "qwen3"
    assert "tinychat:latest" in [model["name"] for model in got["ps"]["models"]]


def test_errors_are_the_clients_own(got):
    assert got["unknown"] == {"name": "ResponseError", "message": "model 'nobody' not found", "status": 404}
    assert got["picture"] == {"name": "ResponseError", "message": '"tinychat" does not support vision', "status": 400}


def test_a_stream_can_be_aborted(got):
    assert got["aborted"]["name"] == "AbortError"
