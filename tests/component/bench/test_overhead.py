"""``vllama bench overhead`` as it is typed, small: it starts a fake engine and the service, measures, and tells."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.live import ROOT

SMALL = ("--clients", "1,3", "--rounds", "1", "--tokens", "20", "--token-rate", "500")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vllama", "bench", "overhead", *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_json_holds_every_sample_and_the_front_ends_cost():
    done = bench(*SMALL, "--json")
    told = json.loads(done.stdout)
    assert [row["clients"] for row in told["compared"]] == [1, 3]
    assert {sample["tokens_out"] for leg in told["legs"] for sample in leg["samples"]} == {20}
    assert {leg["target"] for leg in told["legs"]} == {"engine", "vLLama"}
    assert told["front_end"]["events"] >= 60
    assert 20_000_000 < told["front_end"]["memory"] < 200_000_000
    assert done.returncode == (0 if all(verdict["met"] for verdict in told["verdicts"]) else 1)


def test_people_get_a_table_and_verdicts():
    done = bench(*SMALL)
    assert done.stdout.splitlines()[0].split()[0] == "CLIENTS"
    assert "failed requests: 0" in done.stdout
    assert "measuring" in done.stderr


def test_a_target_that_is_not_there_is_told():
    done = bench("--direct", "unix:/nowhere.sock", "--through", "http://127.0.0.1:1", "--model", "x")
    assert done.returncode == 1
    assert "can't be measured" in done.stderr
    assert "Traceback" not in done.stderr


def test_half_a_comparison_is_refused():
    done = bench("--direct", "unix:/nowhere.sock")
    assert done.returncode == 1
    assert "belong together" in done.stderr
