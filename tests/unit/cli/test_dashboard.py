"""What ``vllama top`` shows."""

from __future__ import annotations

from typing import Any

from vllama.cli.dashboard import bar, lines

GB = 10**9
STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "state": "ready",
    "engine_version": "0.32.0",
    "started": 1000.0,
    "now": 1060.0,
    "notices": ["the key file is broken"],
    "machine": {
        "cores": 4,
        "memory": {"total": 24 * GB, "used": 12 * GB, "free": 12 * GB, "engines": 3 * GB},
        "gpus": [
            {"index": 0, "name": "A GPU", "total": 20 * GB, "used": 5 * GB, "utilization": 0.81, "power": 300.4},
            {"index": 1, "name": "Another", "total": 0, "used": 0},
        ],
    },
    "engines": [
        {"name": "mini:latest", "phase": "ready", "leases": 2, "running": 3.0, "waiting": 0, "kv_used": 0.25}
        | {"kv_cache": 2 * GB, "max_requests": 64}
        | {"tokens_per_second": 41.26, "context_length": 8192, "expires_at": None},
        {"name": "big:latest", "phase": "starting", "stage": "loading weights 50 %", "percent": 50.0, "leases": 0}
        | {"waiting": 1},
        {"name": "odd:latest", "phase": "broken", "stage": "failed", "cause": "no memory", "leases": 0, "waiting": 0}
        | {"expires_at": 1200.0},
    ],
}
LIVE = {"id": "abc", "model": "mini:latest", "phase": "decode", "seconds": 1.24, "caller": "10.0.0.7"}


def test_all_of_it_is_shown():
    shown = lines(STATUS, [LIVE], now=5000.0)  # a terminal whose clock is wrong
    text = "\n".join(shown)
    assert shown[0].startswith("vLLama 0.1.0, vLLM 0.32.0: ready, up About a minute")
    assert "RAM   [||||||||||          ] 12 GB of 24 GB, engines 3 GB; 4 cores" in shown
    assert "GPU 0 [|||||               ] 5 GB of 20 GB; A GPU, 81% busy, 300 W" in shown
    assert "! the key file is broken" in shown
    assert "[||||||||||          ] loading weights 50 %" in text
    assert "odd:latest: no memory" in text
    (mini,) = [line.split() for line in shown if line.startswith("mini")]
    assert mini == ["mini:latest", "ready", "3", "of", "64", "0", "25%", "of", "2", "GB", "41.3", "8192", "Forever"]
    assert shown[-1].split() == ["abc", "mini:latest", "decode", "1.2", "-", "10.0.0.7"]


def test_a_machine_without_anything_is_shown():
    shown = lines({"version": "1", "state": "starting", "started": 5.0, "notices": [], "engines": []}, [], now=0.0)
    assert shown[-1] == "no model is loaded"


def test_many_requests_are_counted():
    assert lines(STATUS, [LIVE] * 25, now=1060.0)[-1] == "and 5 more"


def test_a_bar_stays_within_its_ends():
    assert bar(2.0).count("|") == 20
    assert bar(-1.0).count("|") == 0
