"""``vllama search`` against a hub on localhost, asked by the real huggingface_hub in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.fakes.hub import Hub, running

ROOT = Path(__file__).parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(Hub("acme/mini", {})) as found:
        yield found


@pytest.fixture
def search(hub: Hub, tmp_path: Path) -> Run:
    folder = tmp_path / "models.d"
    folder.mkdir()
    tags = "{huge: {billions: 900000, bf16: acme/zebra-huge}, small: {billions: 0.1, bf16: acme/zebra-small}}"
    (folder / "own.yaml").write_text(f"zebra: {{tags: {tags}}}\n")
    config = tmp_path / "vllama.yaml"
    config.write_text(f"paths: {{catalog: {folder}}}\n")

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "VLLAMA_CONFIG": str(config), "HF_ENDPOINT": hub.url}
        argv = [sys.executable, "-m", "vllama", "search", *arguments]
        return subprocess.run(
            argv, cwd=ROOT, env={**env, **more}, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_what_fits_comes_first_from_the_catalogue_and_from_the_hub(search: Run, hub: Hub) -> None:
    hub.found = [
        {"id": "org/zebra-giant", "safetensors": {"parameters": {"BF16": 9 * 10**14}, "total": 9 * 10**14}},
        {"id": "org/zebra-odd", "safetensors": {"parameters": {"STRANGE": 5}, "total": 5}},
        {"id": "org/zebra-tiny", "safetensors": {"parameters": {"F32": 1000, "BF16": 1000}, "total": 2000}},
        {"id": "org/zebra-bare"},
        {"id": "org/zerba"},  # the hub finds what is alike, too
    ]
    done = search("ZEBRA")
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["NAME", "PARAMS", "DOWNLOAD", "BITS", "FITS", "REPOSITORY"],
        ["zebra:small", "100.00M", "200", "MB", "16", "yes", "acme/zebra-small"],
        ["org/zebra-tiny", "2K", "6", "KB", "24", "yes", "org/zebra-tiny"],
        ["org/zebra-odd", "5", "-", "-", "unknown", "org/zebra-odd"],
        ["org/zebra-bare", "-", "-", "-", "unknown", "org/zebra-bare"],
        ["zebra:huge", "900000.0B", "1800", "TB", "16", "no", "acme/zebra-huge"],
        ["org/zebra-giant", "900000.0B", "1800", "TB", "16", "no", "org/zebra-giant"],
    ]
    assert "search=ZEBRA" in hub.searched[0]
    assert "limit=20" in hub.searched[0]


def test_without_a_hub_the_catalogue_alone_is_searched(search: Run) -> None:
    done = search("zebra", "--json", HF_ENDPOINT="http://127.0.0.1:1")
    assert (done.returncode, [one["name"] for one in json.loads(done.stdout)["models"]]) == (
        0,
        ["zebra:small", "zebra:huge"],
    )
    assert "Only the catalogue was searched: the hub can't be reached" in done.stderr


def test_a_server_that_is_no_hub_is_named_as_the_reason(search: Run, tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "models").write_text("<html>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        done = search("zebra", HF_ENDPOINT=f"http://127.0.0.1:{other.server_port}")
        other.shutdown()
        thread.join()
    assert done.returncode == 0
    assert "Only the catalogue was searched: the hub's list of models can't be read" in done.stderr


def test_a_word_of_no_model_is_an_error(search: Run) -> None:
    done = search("nosuchword", "--limit", "0")
    assert (done.returncode, "no model's name or repository contains 'nosuchword'" in done.stderr) == (1, True)
