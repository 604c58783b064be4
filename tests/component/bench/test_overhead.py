"""``vllama bench overhead`` as it is typed, small, over a fake engine and the service in front of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.live import ROOT
from tests.load.overhead import argv
from tests.load.stand import Stand, started

SMALL = ["--clients", "1,3", "--rounds", "1", "--tokens", "20"]


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with started(500) as running:
        yield running


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "vllama", "bench", "overhead", *arguments])


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_json_holds_every_sample_and_the_front_ends_cost(stand: Stand) -> None:
    done = run(argv(stand, [*SMALL, "--json"]))
    reported = json.loads(done.stdout)
    assert [row["clients"] for row in reported["compared"]] == [1, 3]
    assert {sample["tokens_out"] for leg in reported["legs"] for sample in leg["samples"]} == {20}
    assert {leg["target"] for leg in reported["legs"]} == {"engine", "vLLama"}
    assert reported["front_end"]["events"] >= 60
    assert 20_000_000 < reported["front_end"]["memory"] < 200_000_000
    assert done.returncode == (0 if all(verdict["met"] for verdict in reported["verdicts"]) else 1)


def test_the_engine_and_the_process_of_a_running_service_are_found(stand: Stand) -> None:
    done = bench("--through", stand.through, *SMALL)
    assert done.stdout.splitlines()[0].split()[0] == "CLIENTS"
    assert "failed requests: 0" in done.stdout
    assert "memory of the front end" in done.stdout
    assert "measuring" in done.stderr


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("--direct", "unix:/nowhere.sock", "--through", "STAND"), "engine at unix:/nowhere.sock can't be measured"),
        (("--through", "http://127.0.0.1:1"), "vLLama at http://127.0.0.1:1 can't be measured"),
        (("--through", "STAND", "--model", "nosuch"), "model 'nosuch' not found"),
        (("--through", "STAND", "--pid", "4194305"), "there is no process 4194305"),
    ],
)
def test_what_can_not_be_measured_is_said(stand: Stand, words: tuple[str, ...], reported: str) -> None:
    done = bench(*(stand.through if word == "STAND" else word for word in words))
    assert done.returncode == 1
    assert reported in done.stderr
    assert "Traceback" not in done.stderr
