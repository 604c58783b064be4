from __future__ import annotations

import json
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from vllama.caller import NOBODY
from vllama.config.schema import Config, Slo
from vllama.observe.slos import FILE, Slos
from vllama.observe.spent import Spent

DAY = 86400.0
DONE = Spent(NOBODY, "/api/chat", "tiny:latest", 200, 2.0, first_token=0.5)
FAILED = replace(DONE, status=500, first_token=None)


@dataclass
class Machine:
    """Its two clocks."""

    boot: float = 100.0
    wall: float = 1_800_000_000.0

    def passes(self, seconds: float) -> None:
        self.boot += seconds
        self.wall += seconds

    def restarts(self, seconds: float = 60.0) -> None:
        self.boot, self.wall = 5.0, self.wall + seconds


def promise(success: str = "99 %", **more: object) -> dict[str, Slo]:
    return dict(Config.model_validate({"slos": {"chat": {"success": success, **more}}}).slos)


def started(folder: Path, machine: Machine, slos: dict[str, Slo] | None = None) -> Slos:
    found = Slos(folder / FILE, clock=lambda: machine.boot, wall=lambda: machine.wall)
    found.open()
    found.follow(promise() if slos is None else slos)
    return found


def counted(slos: Slos) -> tuple[int, int]:
    (budget,) = slos.budgets()
    return budget.requests, budget.bad


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_counts_outlive_a_restart(tmp_path: Path):
    machine = Machine()
    slos = started(tmp_path, machine)
    for spent in (DONE, DONE, FAILED):
        slos.take(spent)
    await slos.save()
    machine.restarts()
    assert counted(started(tmp_path, machine)) == (3, 1)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o640


async def test_a_service_that_was_off_for_the_period_begins_again(tmp_path: Path):
    machine = Machine()
    slos = started(tmp_path, machine)
    slos.take(FAILED)
    await slos.save()
    machine.restarts(31 * DAY)
    assert counted(started(tmp_path, machine)) == (0, 0)


async def test_a_clock_that_is_set_back_or_forward_while_it_runs_changes_nothing(tmp_path: Path):
    machine = Machine()
    slos = started(tmp_path, machine)
    slos.take(FAILED)
    for jump in (-1000 * DAY, 5000 * DAY):
        machine.wall += jump
        assert slos.budgets()[0].burn["5m"] == pytest.approx(100)
    machine.boot += 400
    assert slos.budgets()[0].burn["5m"] == 0


async def test_a_start_with_the_clock_of_1970_keeps_the_counts(tmp_path: Path):
    machine = Machine()
    slos = started(tmp_path, machine)
    slos.take(FAILED)
    await slos.save()
    right = machine.wall
    machine.wall = 30.0
    slos = started(tmp_path, machine)
    slos.take(DONE)
    assert counted(slos) == (2, 1)
    await slos.save()
    machine.wall = right + 3600
    assert counted(started(tmp_path, machine)) == (2, 1)


async def test_another_target_or_period_judges_the_same_counts_and_another_threshold_new_ones(tmp_path: Path):
    machine = Machine()
    slos = started(tmp_path, machine, promise(models=["tiny"]))
    slos.take(FAILED)
    slos.follow(promise("90 %", models=["tiny"], over="7d"))
    assert counted(slos) == (1, 1)
    assert slos.budgets()[0].burn["5m"] == pytest.approx(10)
    slos.follow(promise("90 %", models=["other"]))
    assert counted(slos) == (0, 0)


def test_requests_to_other_models_and_to_none_do_not_count(tmp_path: Path):
    slos = started(tmp_path, Machine(), promise(models=["tiny"]))
    for model in ("tiny:latest", "other:latest", ""):
        slos.take(replace(FAILED, model=model))
    assert counted(slos) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 2, "at": 1, "objectives": []}',
        '{"version": 1, "at": NaN, "objectives": []}',
        '{"version": 1, "at": 1e300, "objectives": []}',
        '{"version": 1, "at": 1, "objectives": [{"of": "chat success None ", "fine": [[1, 2]], "coarse": []}]}',
        '{"version": 1, "at": 1, "objectives": [{"of": "chat success None ", "fine": [[1, 1, 5]], "coarse": []}]}',
        "[" * 100_000,
    ],
)
async def test_a_broken_file_is_put_aside_and_a_new_one_begun(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
):
    (tmp_path / FILE).write_text(text)
    slos = started(tmp_path, Machine())
    assert (tmp_path / f"{FILE}.broken").read_text() == text
    assert "is broken and was renamed to slos.json.broken" in caplog.text
    slos.take(DONE)
    await slos.save()
    assert json.loads((tmp_path / FILE).read_text())["version"] == 1


async def test_a_disk_that_takes_nothing_is_logged_once_and_loses_no_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    folder = tmp_path / "a file"
    folder.touch()
    slos = started(folder, Machine())
    for _ in range(3):
        slos.take(FAILED)
        await slos.save()
    assert counted(slos) == (3, 3)
    assert caplog.text.count("could not be kept") == 1


async def test_without_objectives_no_file_is_made(tmp_path: Path):
    slos = started(tmp_path, Machine(), {})
    slos.take(DONE)
    await slos.save()
    assert names(tmp_path) == []
    assert list(slos.collect()) == []


def test_metrics_have_the_totals_since_the_start_and_the_budget(tmp_path: Path):
    slos = started(tmp_path, Machine())
    registry = CollectorRegistry()
    registry.register(slos)
    for spent in (*[DONE] * 199, FAILED):
        slos.take(spent)
    text = generate_latest(registry).decode()
    labels = 'objective="success",slo="chat"'
    assert f"vllama_slo_requests_total{{{labels}}} 200.0" in text
    assert f"vllama_slo_bad_requests_total{{{labels}}} 1.0" in text
    assert f"vllama_slo_target{{{labels}}} 0.99" in text
    assert f"vllama_slo_period_seconds{{{labels}}} 2.592e+06" in text
    assert f"vllama_slo_budget_left{{{labels}}} 0.5" in text
    assert text.count("vllama_slo_burn_rate{") == 7
    assert f'vllama_slo_burning{{{labels[:19]},severity="page",{labels[20:]}}} 0.0' in text


def test_counting_costs_a_request_little(tmp_path: Path):
    slos = started(tmp_path, Machine())
    began = time.process_time()
    for _ in range(20_000):
        slos.take(DONE)
    assert (time.process_time() - began) / 20_000 < 20e-6  # about 2 us on a quiet machine
