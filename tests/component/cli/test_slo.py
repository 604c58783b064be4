"""``vllama slo``: the table, JSON, and rules from a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.component.cli.conftest import Vllama
from tests.fakes.service import Service
from vllama.observe.slo import BURN_WINDOWS

BURN = {**dict.fromkeys(BURN_WINDOWS, 0.0), "5m": 14.4, "1h": 2.0}
TTFT = {"name": "chat", "objective": "ttft", "models": ["qwen3:latest"], "target": 0.95, "threshold": 1.0}
NUMBERS = {"over": 2592000.0, "requests": 1000, "good": 990, "budget_left": 0.8, "burn": BURN}
SUCCESS = {"name": "chat", "objective": "success", "models": [], "target": 0.999, **NUMBERS, "budget_left": -9.0}


def test_the_table_shows_what_is_left_and_how_fast_it_burns(vllama: Vllama, service: Service) -> None:
    service.fixed["/vllama/slos"] = (200, {"slos": [{**TTFT, **NUMBERS}, SUCCESS]})
    done = vllama("slo")
    assert done.stdout.splitlines() == [
        "NAME    OBJECTIVE          OVER    REQUESTS    GOOD    BUDGET LEFT    BURN 5m    1h    6h    3d",
        "chat    ttft 1s at 95 %    30d     1000        99 %    80.0 %         14         2     0     0",
        "chat    success 99.9 %     30d     1000        99 %    -900.0 %       14         2     0     0",
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_json_is_the_services_answer(vllama: Vllama, service: Service) -> None:
    service.fixed["/vllama/slos"] = (200, {"slos": [SUCCESS]})
    assert json.loads(vllama("slo", "--json").stdout) == {"slos": [SUCCESS]}


def test_a_service_without_objectives_says_how_to_have_some(vllama: Vllama, service: Service) -> None:
    service.fixed["/vllama/slos"] = (200, {"slos": []})
    done = vllama("slo")
    assert (done.returncode, done.stdout) == (0, "")
    assert "slos: {chat: {ttft: 1s at 95 %, success: 99.9 %}}" in done.stderr


def test_rules_come_from_the_configuration_and_need_no_service(vllama: Vllama, tmp_path: Path) -> None:
    file = tmp_path / "vllama.yaml"
    file.write_text("slos: {chat: {success: 99.9 %}}\n")
    done = vllama("slo", "rules", "--config", str(file), VLLAMA_HOST="127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert [group["name"] for group in yaml.safe_load(done.stdout)["groups"]] == [
        "sloth-slo-sli-recordings-vllama-chat-success",
        "sloth-slo-meta-recordings-vllama-chat-success",
        "sloth-slo-alerts-vllama-chat-success",
    ]


def test_without_objectives_there_are_no_rules(vllama: Vllama, tmp_path: Path) -> None:
    file = tmp_path / "vllama.yaml"
    file.write_text("keep_alive: 1h\n")
    done = vllama("slo", "rules", "--config", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert "the configuration has no slos" in done.stderr
