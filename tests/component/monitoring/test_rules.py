"""The shipped rules and those of ``vllama slo rules``, judged by promtool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.prometheus import MONITORING, promtool
from vllama.config.schema import Config
from vllama.observe.slo import objectives
from vllama.observe.slo_rules import rules_text

RECORDINGS = MONITORING / "prometheus" / "vllama-recordings.yml"
ALERTS = MONITORING / "prometheus" / "vllama-alerts.yml"
BOX = 'job="vllama",instance="box:11434"'
TINY = f'{BOX},model="tiny:latest"'
TTFT = f'vllama_slo_burning{{{BOX},slo="chat",objective="ttft",severity="page"}}'
SUCCESS = f'vllama_slo_burning{{{BOX},slo="chat",objective="success",severity="page"}}'

# what happens to these series minute by minute, at which minute the alert must be silent, fire and be silent again
FAILURES: dict[str, tuple[dict[str, str], tuple[int, int, int]]] = {
    "VllamaDown": ({f"up{{{BOX}}}": "1x4 0x5 1x5"}, (3, 8, 11)),
    "VllamaEngineDown": (
        {
            f'vllama_engine_state{{{TINY},state="ready"}}': "1x4 0x5 1x5",
            f'vllama_engine_state{{{TINY},state="backoff"}}': "0x4 1x1 0x3 0x5",
            f'vllama_engine_state{{{TINY},state="broken"}}': "0x4 0x1 1x3 0x5",
        },
        (4, 8, 12),
    ),
    "VllamaEngineCrashLoop": ({f"vllama_engine_crashes_total{{{TINY}}}": "0x9 1 2 3 4 4x20"}, (9, 14, 30)),
    "VllamaRequestsFail": (
        {
            f'vllama_requests_total{{{TINY},status="200"}}': "0+90x60",
            f'vllama_requests_total{{{TINY},status="503"}}': "0x9 0+10x20 200x30",
        },
        (9, 28, 45),
    ),
    "VllamaQueueFull": (
        {
            f"vllama_requests_waiting{{{TINY}}}": "0x4 300x4 1x6",
            f'vllama_requests_waiting{{{BOX},model="other:latest"}}': "0x4 200x4 1x6",
            f"vllama_requests_waiting_limit{{{BOX}}}": "512x14",
        },
        (4, 8, 12),
    ),
    "VllamaKvCacheFull": ({f"vllm:kv_cache_usage_perc{{{TINY},engine='0'}}": "0.5x4 1x15 0.5x9"}, (10, 18, 22)),
    "VllamaTtftBurning": ({TTFT: "0x4 1x4 0x4", SUCCESS: "0x12"}, (4, 7, 11)),
    "VllamaSuccessBurning": ({TTFT: "0x12", SUCCESS: "0x4 1x4 0x4"}, (4, 7, 11)),
    "VllamaDiskFull": (
        {
            f'vllama_disk_free_bytes{{{BOX},directory="state"}}': "100x4 4x14 30x9",
            f'vllama_disk_size_bytes{{{BOX},directory="state"}}': "100x27",
            f'vllama_disk_free_bytes{{{BOX},directory="cache"}}': "1x27",
            f'vllama_disk_size_bytes{{{BOX},directory="cache"}}': "100x27",
        },
        (10, 17, 21),
    ),
    "VllamaUsageLost": ({f"vllama_usage_lost_total{{{BOX}}}": "0x5 0+7x3 21x30"}, (5, 7, 30)),
    "VllamaKeysBroken": ({f"vllama_keys_files_broken{{{BOX}}}": "0x4 1x5 0x3"}, (4, 8, 11)),
}


def fires(name: str, minute: int, number: int, **labels: str) -> dict[str, Any]:
    """A check for promtool: so many alerts of this name fire at that minute."""
    labels = {"alertname": name, "alertstate": "firing", **labels}
    chosen = ",".join(f'{key}="{value}"' for key, value in labels.items())
    samples = [{"labels": "{}", "value": number}] if number else []
    return {"expr": f"count(ALERTS{{{chosen}}})", "eval_time": f"{minute}m", "exp_samples": samples}


def run(folder: Path, files: list[Path], series: dict[str, str], checks: list[dict[str, Any]], **more: Any) -> None:
    """``promtool test rules`` with these series, whose values are a minute apart."""
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": given, "promql_expr_test": checks, **more}
    file = folder / "test.yml"
    rules = [str(one) for one in files]
    file.write_text(yaml.safe_dump({"rule_files": rules, "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", str(file))


def alerts_of(file: Path) -> dict[str, Any]:
    groups = yaml.safe_load(file.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.mark.parametrize("file", [RECORDINGS, ALERTS], ids=lambda file: file.name)
def test_the_shipped_rules_are_valid(file: Path):
    assert "SUCCESS" in promtool("check", "rules", str(file))


def test_every_shipped_alert_is_tried():
    assert alerts_of(ALERTS).keys() == FAILURES.keys()


@pytest.mark.parametrize("name", FAILURES)
def test_a_shipped_alert_fires_while_its_cause_lasts(name: str, tmp_path: Path):
    series, (before, during, after) = FAILURES[name]
    checks = [fires(name, before, 0), fires(name, during, 1), fires(name, after, 0)]
    run(tmp_path, [RECORDINGS, ALERTS], series, checks)


def test_an_alert_says_in_words_what_is_wrong_and_what_to_do(tmp_path: Path):
    expected = {
        "exp_labels": {"severity": "warning", "job": "vllama", "instance": "box:11434", "directory": "state"},
        "exp_annotations": {
            "summary": "The disk with the models of box:11434 has 4% left",
            "description": "Delete models ('vllama list', 'vllama rm') or move them to another disk.",
        },
    }
    series, (_, during, _) = FAILURES["VllamaDiskFull"]
    alert = {"eval_time": f"{during}m", "alertname": "VllamaDiskFull", "exp_alerts": [expected]}
    run(tmp_path, [RECORDINGS, ALERTS], series, [], alert_rule_test=[alert])


def slo_rules(folder: Path, **slo: Any) -> Path:
    file = folder / "slo.yml"
    file.write_text(rules_text(objectives(Config.model_validate({"slos": {"chat": slo}}).slos)))
    return file


@pytest.mark.parametrize("over", ["3d", "7d", "30d", "90d"])
def test_the_rules_of_slos_are_valid(over: str, tmp_path: Path):
    file = slo_rules(tmp_path, ttft="300ms at 95 %", success="99.9 %", over=over)
    assert "SUCCESS" in promtool("check", "rules", str(file))


@pytest.mark.parametrize(("objective", "name"), [("success", "VllamaSloSuccess"), ("ttft", "VllamaSloTtft")])
def test_a_burning_budget_wakes_someone_and_ends_when_the_cause_is_gone(objective: str, name: str, tmp_path: Path):
    file = slo_rules(tmp_path, **{objective: "99 %" if objective == "success" else "1s at 99 %"})
    chosen = f'{{{BOX},slo="chat",objective="{objective}"}}'
    series = {  # a request a second; from the second to the fourth hour half of them are bad
        f"vllama_slo_requests_total{chosen}": "0+60x1200",
        f"vllama_slo_bad_requests_total{chosen}": "0x120 0+30x120 3600x960",
    }
    page, ticket = {"sloth_severity": "page"}, {"sloth_severity": "ticket"}
    checks = [
        fires(name, 119, 0),
        fires(name, 150, 1, **page),
        fires(name, 200, 1, **ticket),
        fires(name, 280, 0, **page),  # half an hour after the end
        fires(name, 280, 1, **ticket),
        fires(name, 650, 0),
    ]
    run(tmp_path, [file], series, checks)


def test_a_slow_leak_makes_a_ticket_and_wakes_nobody(tmp_path: Path):
    file = slo_rules(tmp_path, success="99 %")
    chosen = f'{{{BOX},slo="chat",objective="success"}}'
    series = {  # two in a hundred
        f"vllama_slo_requests_total{chosen}": "0+100x1440",
        f"vllama_slo_bad_requests_total{chosen}": "0+2x1440",
    }
    checks = [fires("VllamaSloSuccess", 1000, 1, sloth_severity="ticket"), fires("VllamaSloSuccess", 1000, 1)]
    run(tmp_path, [file], series, checks)


def test_what_sloths_dashboards_read_is_recorded(tmp_path: Path):
    file = slo_rules(tmp_path, success="99 %", over="7d")
    chosen = f'{{{BOX},slo="chat",objective="success"}}'
    series = {f"vllama_slo_requests_total{chosen}": "0+200x60", f"vllama_slo_bad_requests_total{chosen}": "0+1x60"}
    labels = 'sloth_id="vllama-chat-success", sloth_service="vllama", sloth_slo="chat-success"'
    values = {
        "slo:objective:ratio": 0.99,
        "slo:error_budget:ratio": 0.01,
        "slo:time_period:days": 7,
        "slo:current_burn_rate:ratio": 0.5,
        "slo:period_burn_rate:ratio": 0.5,
        "slo:period_error_budget_remaining:ratio": 0.5,
        "sloth_slo_info": 1,
    }
    checks = [
        {"expr": f"round(max({name}{{{labels}}}), 0.001)", "eval_time": "30m", "exp_samples": [{"value": value}]}
        for name, value in values.items()
    ]
    run(tmp_path, [file], series, checks)


def test_the_shipped_burn_alerts_leave_it_to_the_rules_of_slos_where_these_are_loaded(tmp_path: Path):
    file = slo_rules(tmp_path, ttft="1s at 99 %", success="99 %")
    checks = [fires("VllamaTtftBurning", 7, 0)]
    run(tmp_path, [RECORDINGS, ALERTS, file], {TTFT: "1x10"}, checks)
